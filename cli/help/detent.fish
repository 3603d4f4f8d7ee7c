# Completion of detent's command line in fish: `detent completion fish` prints this. What may come next says the program
# itself.
function __detent_candidates
    set -l words (commandline -opc) (commandline -ct)
    command $words[1] completion words -- $words[2..-1] 2>/dev/null
end
complete -c detent -f -a '(__detent_candidates)'
