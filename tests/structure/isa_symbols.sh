#!/bin/sh
# usage: isa_symbols.sh NM VARIANT OBJECT...
# Fails when an object exports a weak symbol that does not belong to namespace g2s::kernels::VARIANT: the linker could take this copy, built
# for a newer instruction set, for the whole program.
nm=$1 variant=$2
shift 2
[ $# -gt 0 ] || { echo "no objects given"; exit 1; }
"$nm" -A "$@" >/dev/null || exit 1
leaks=$("$nm" -A "$@" | grep -E ' [WVu] ' | c++filt | grep -v "g2s::kernels::$variant::")
if [ -n "$leaks" ]; then
  echo "$leaks"
  exit 1
fi
echo "checked $# objects of $variant"
