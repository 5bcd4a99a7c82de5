#!/bin/sh
# usage: exports.sh NM LIBRARY HEADER
# What the library offers is what the header declares, and members of the C++ namespace; nothing else.
nm=$1 library=$2 header=$3
case $library in
  *.a) dynamic= ;;  # templates of the standard library stay in it, weak: whoever links it has them too
  *) dynamic=-D ;;
esac
symbols=$("$nm" $dynamic --defined-only --extern-only "$library" | awk -v weak="$dynamic" 'NF == 3 && (weak != "" || $2 !~ /^[WVu]$/) {print $3}' | sort -u)
[ -n "$symbols" ] || { echo "no symbols in $library"; exit 1; }
declared=$(grep -oE '^G2S_API .*' "$header" | grep -oE 'g2s_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u)
offered=$(echo "$symbols" | grep '^g2s_')
others=$(echo "$symbols" | grep -vE '^(g2s_|_Z(T[ISVT])?NK?3g2s)')
status=0
report() {
  [ -z "$2" ] || { echo "$1:"; echo "$2" | c++filt | sed 's/^/  /'; status=1; }
}
left=$(mktemp) right=$(mktemp)
echo "$declared" >"$left"
echo "$offered" >"$right"
report "new, not in the header" "$(comm -13 "$left" "$right")"
report "in the header, missing in the library" "$(comm -23 "$left" "$right")"
report "neither g2s_ nor of namespace g2s" "$others"
rm -f "$left" "$right"
[ $status = 0 ] && echo "$(echo "$offered" | wc -l) C functions, $(echo "$symbols" | grep -c '^_Z') C++ symbols"
exit $status
