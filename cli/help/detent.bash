# Completion of detent's command line in bash: `detent completion bash` prints this. What may come next says the
# program itself.
_detent() {
  local current=${COMP_WORDS[COMP_CWORD]} words=() is_glued='' word candidate i
  # Bash cuts words at = and :, the program does not.
  for ((i = 1; i <= COMP_CWORD; ++i)); do
    word=${COMP_WORDS[i]}
    if ((${#words[@]} > 0)) && [[ $is_glued || $word == [=:]* ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
    [[ $word && $word != *[!=:]* ]] && is_glued=yes || is_glued=
  done
  [[ $current != *[!=:]* ]] && current=
  local before=${words[-1]%"$current"}
  COMPREPLY=()
  while IFS=$'\t' read -r candidate _; do
    candidate=${candidate#"$before"}
    [[ $candidate == *[[:space:]\'\"\\\$\`\&\(\)\;\<\>\|\*\?]* ]] && printf -v candidate %q "$candidate"
    COMPREPLY+=("$candidate")
  done < <("${COMP_WORDS[0]}" completion words -- "${words[@]}" 2>/dev/null)
  if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[/=] ]]; then
    compopt -o nospace 2>/dev/null
  fi
}
complete -o default -F _detent detent
