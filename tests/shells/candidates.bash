# usage: bash candidates.bash COMPLETION LINE
# What bash offers for the last word of a line.
source "$1" || exit 1
read -r -a COMP_WORDS <<<"$2"
case $2 in *" ") COMP_WORDS+=("") ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
[ "$(complete -p gan2shape)" = "complete -F _gan2shape gan2shape" ] || exit 1
_gan2shape
printf '%s\n' "${COMPREPLY[@]}"
