#!/bin/sh
# usage: headers.sh SOURCE WORK C-COMPILER C++-COMPILER
# Every header of WORK/prefix compiles alone and without a warning: as C++20, and gan2shape.h as C99 too.
set -e
source=$1 work=$2/headers-$3 cc=$3 cxx=$4 include=$2/prefix/include
test=package/headers_$3
. "$source/tests/package/common.sh"
need "$cc" "$cxx"
rm -rf "$work"
mkdir -p "$work"
cd "$include/gan2shape"
# -isystem would silence what they say; a file that includes one is judged with it.
flags="-Wall -Wextra -Wpedantic -Werror -fsyntax-only -I $include -I $include/gan2shape"
find . -name '*.h' | sed 's|^\./||' | sort >"$work/headers.txt"
count=$(wc -l <"$work/headers.txt")
[ "$count" -gt 40 ] || fail "only $count headers are installed"
status=0
while read -r header; do
  echo "#include \"$header\"" >"$work/one.cpp"
  "$cxx" -std=c++20 $flags "$work/one.cpp" || { echo "$header does not compile alone"; status=1; }
done <"$work/headers.txt"
echo "#include <gan2shape/gan2shape.h>" >"$work/one.c"
for standard in c99 c11; do "$cc" -std=$standard $flags "$work/one.c" || { echo "gan2shape.h does not compile as $standard"; status=1; }; done
echo "$count headers"
exit $status
