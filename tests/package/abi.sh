#!/bin/sh
# usage: abi.sh SOURCE WORK [--write]
# The binary interface of gan2shape.h against that of tests/package/gan2shape.abi: functions, and the types that they reach. --write renews the
# file: after something was added. After a change or a removal SOVERSION (cmake/G2sLibrary.cmake) grows too.
# Only the header is read. That the library has its functions is tests/structure/exports.sh's to say.
set -e
test=package/abi source=$(cd "$1" && pwd)
. "$source/tests/package/common.sh"
need gcc
command -v abidw >/dev/null && command -v abidiff >/dev/null || skip "needs abidw and abidiff, of the package abigail-tools"
mkdir -p "$2/abi"
cd "$2/abi"
work=$(pwd)
# The interface of a header, as XML without this machine's paths. Every declaration becomes a definition, so that the compiler writes down all types.
interface() {
  header=$1 name=$2
  {
    echo "#include \"$header\""
    gcc -std=c99 -E -P "$header" | tr '\n' ' ' | tr ';' '\n' | sed -n 's/^ *\(__attribute__((visibility("default"))) .*)\) *$/\1 { __builtin_trap(); }/p'
  } >"$name.c"
  count=$(grep -c trap "$name.c")
  [ "$count" = "$(grep -c '^G2S_API ' "$header")" ] || fail "of the header's functions only $count were understood"
  quietly gcc -std=c99 -g -O0 -fPIC -shared -fno-eliminate-unused-debug-types "$name.c" -o "$name.so"
  abidw --no-corpus-path --no-comp-dir-path --no-show-locs --no-architecture --load-all-types "$name.so" >"$name.abi"
}
interface "$source/include/gan2shape/gan2shape.h" now
baseline=$source/tests/package/gan2shape.abi
if [ "$3" = --write ]; then
  cp now.abi "$baseline"
  exit 0
fi
abidiff --non-reachable-types "$baseline" now.abi || fail "gan2shape.h is not what it was. If that is meant: sh tests/package/abi.sh . build --write"

# A member that became smaller is found.
sed 's/uint64_t memory_limit/uint32_t memory_limit/' "$source/include/gan2shape/gan2shape.h" >changed.h
interface "$work/changed.h" changed
if abidiff "$baseline" changed.abi >changed.txt; then fail "a change of a type was not found"; fi
grep -q memory_limit changed.txt || fail "the change is not named: $(cat changed.txt)"
echo "$count functions"
