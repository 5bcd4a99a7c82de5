# usage: zsh candidates.zsh COMPLETION LINE
# What zsh offers for the last word of a line: an interactive shell completes it, and says what is added to its list.
zmodload zsh/zpty || exit 1
hits=$PWD/hits.txt finished=$PWD/finished.txt setup=$PWD/setup.zsh
rm -f $hits $finished
: >$hits
cat >$setup <<EOF
fpath=(${(q)1:h} \$fpath)
autoload -Uz compinit && compinit -u -D
compadd() {
  local -a given
  # Those that only ask what would be added are none of ours.
  if [[ \${@[(r)-O]} == -O || \${@[(r)-A]} == -A || \${@[(r)-D]} == -D ]]; then builtin compadd "\$@"; return; fi
  builtin compadd -A given "\$@"
  (( \$#given )) && print -rl -- \$given >>${(q)hits}
  builtin compadd "\$@"
}
finish() { : >${(q)finished}; }
comppostfuncs=(finish)
bindkey '^I' complete-word
cd ${(q)PWD}
EOF
zpty completing zsh -f -i
zpty -w completing "source ${(q)setup}"
zpty -w -n completing "$2"$'\t'
for (( i = 0; i < 1200; ++i )); do
  [[ -e $finished ]] && break
  zpty -r -t completing ignored
  sleep 0.05
done
zpty -d completing
[[ -e $finished ]] || { print -u2 "zsh completed nothing in a minute"; exit 1; }
cat $hits
