#!/bin/sh
# usage: headers.sh SOURCE WORK C-COMPILER C++-COMPILER [alone]
# The headers of WORK/prefix compile without a warning: as C++20, and gan2shape.h as C99 too. All in one file, or each alone.
set -e
source=$1 work=$2/headers-$3$5 cc=$3 cxx=$4 alone=$5 include=$2/prefix/include
test=package/headers_$3
. "$source/tests/package/common.sh"
need "$cc" "$cxx"
rm -rf "$work"
mkdir -p "$work"
cd "$include/gan2shape"
flags="-Wall -Wextra -Wpedantic -Werror -fsyntax-only -I $include -I $include/gan2shape"
find . -name '*.h' | sed 's|^\./||' | sort >"$work/headers.txt"
count=$(wc -l <"$work/headers.txt")
[ "$count" -gt 40 ] || fail "only $count headers are installed"
sed 's|.*|#include "&"|' "$work/headers.txt" >"$work/all.cpp"
status=0
"$cxx" -std=c++20 $flags "$work/all.cpp" || status=1
if [ -n "$alone" ]; then
  while read -r header; do
    echo "#include \"$header\"" >"$work/one.cpp"
    "$cxx" -std=c++20 $flags "$work/one.cpp" || { echo "$header does not compile alone"; status=1; }
  done <"$work/headers.txt"
fi
echo "#include <gan2shape/gan2shape.h>" >"$work/one.c"
for standard in c99 c11; do "$cc" -std=$standard $flags "$work/one.c" || { echo "gan2shape.h does not compile as $standard"; status=1; }; done
echo "$count headers"
exit $status
