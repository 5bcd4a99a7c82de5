#!/bin/sh
# usage: compile.sh NVCC SOURCE.cu FOLDER [DEFINITION...]
# Writes the PTX of a source into a fresh folder, as the build compiles it.
nvcc=$1 source=$2 folder=$3
shift 3
rm -rf "$folder"
mkdir -p "$folder"
"$nvcc" -std=c++20 -O2 -I. "$@" --extended-lambda --expt-relaxed-constexpr -ptx -arch=compute_80 "$source" -o "$folder/$(basename "$source" .cu).ptx"
