#!/bin/sh
# usage: completions.sh SOURCE SHELL SHARE WORK
# Completes command lines in a shell, bash, zsh or fish, as a user does with the tabulator. SHARE is the folder that the program wrote.
set -e
source=$1 shell=$2 share=$3 work=$4/$2
test=shells/$shell
command -v "$shell" >/dev/null || sh "$source/tests/skipped.sh" "$test" "there is no $shell" || exit $?
rm -rf "$work"
mkdir -p "$work/a folder"
: >"$work/a picture.png"
cd "$work"
case $shell in
  bash) completion=$share/bash-completion/completions/gan2shape ;;
  zsh) completion=$share/zsh/site-functions/_gan2shape ;;
  fish) completion=$share/fish/vendor_completions.d/gan2shape.fish ;;
esac

# The candidates for the last word of a command line, one a line. Shells differ in who writes the slash of a folder and the backslash of a space.
candidates() {
  case $shell in
    fish) fish --no-config -c "source '$completion'; complete -C '$1'" | cut -f 1 ;;
    *) "$shell" "$source/tests/shells/candidates.$shell" "$completion" "$1" ;;
  esac
}
# complete LINE WORD...: each word is among the candidates; one after a minus is not.
complete() {
  line=$1
  shift
  candidates "$line" | sed 's/\\//g; s|/$||' >found.txt
  for word in "$@"; do
    if [ "${word#-:}" != "$word" ]; then
      if grep -qxF -e "${word#-:}" found.txt; then echo "$test: '$line' offers ${word#-:}"; exit 1; fi
    elif ! grep -qxF -e "$word" found.txt; then
      echo "$test: '$line' does not offer $word, but:" && cat found.txt && exit 1
    fi
  done
}

complete "gan2shape " reconstruct generate faces evaluate trace prior convert info -:write-help
complete "gan2shape rec" reconstruct -:info
complete "gan2shape reconstruct --" --out --quality --jobs --quiet --help -:--kind -:--version
complete "gan2shape reconstruct --qua" --quality -:--out
complete "gan2shape reconstruct --quality " draft standard paper -:best
complete "gan2shape reconstruct --quality d" draft -:standard
complete "gan2shape reconstruct --preset " auto ffhq default church
complete "gan2shape reconstruct -q --device cu" cuda -:cpu
complete "gan2shape convert --kind style" stylegan2-generator stylegan2-discriminator -:lpips
complete "gan2shape trace --dtype " f64 f32
complete "gan2shape reconstruct " "a picture.png" "a folder"
complete "gan2shape reconstruct --out " "a folder" "-:a picture.png"
echo "$test: commands, options, values and files are completed"
