#!/bin/sh
# usage: divisions.sh FILE.ptx
# Fails if a kernel divides integers of 64 bits, which a device does in a hundred instructions: more than its share of the memory takes.
kernels=$(grep -c '[.]entry' "$1") || { echo "$1 has no kernels"; exit 1; }
if grep -nE '(div|rem)[.][su]64' "$1"; then
  echo "$1 divides integers of 64 bits"
  exit 1
fi
echo "no division of 64 bits in $kernels kernels"
