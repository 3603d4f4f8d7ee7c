#compdef detent
# Completion of detent's command line in zsh: `detent completion zsh` prints this. What may come next says the program
# itself.
_detent() {
  local line word text
  local -a open open_texts closed closed_texts
  for line in "${(@f)$("${words[1]}" completion words -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
    word=${line%%$'\t'*}
    text=${line/$'\t'/  -- }
    if [[ -z $word ]]; then
      continue
    elif [[ $word == *[/=] ]]; then
      open+=("$word") open_texts+=("$text")
    else
      closed+=("$word") closed_texts+=("$text")
    fi
  done
  compadd -l -d closed_texts -a closed
  compadd -l -S '' -d open_texts -a open
}
if [[ $funcstack[1] == _detent ]]; then
  _detent "$@"
else
  compdef _detent detent
fi
