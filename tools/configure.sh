#!/bin/sh
# usage: configure.sh BUILD PRESET [demo]
# Makes a build folder if there is none. For the demo the CUDA kernels, which take minutes to compile, are left out where there is no GPU; whatever
# is built in that folder afterwards has them again, if there is nvcc.
set -e
build=$1 preset=$2 marker=$1/without_cuda_for_the_demo
if [ ! -f "$build/build.ninja" ]; then
  if [ "$3" = demo ] && ! nvidia-smi -L 2>/dev/null | grep -q GPU; then
    cmake --preset "$preset" -B "$build" -DG2S_CUDA=OFF
    : >"$marker"
  else
    cmake --preset "$preset" -B "$build"
  fi
elif [ -f "$marker" ] && [ "$3" != demo ]; then
  cmake -B "$build" -DG2S_CUDA=AUTO
  rm "$marker"
fi
