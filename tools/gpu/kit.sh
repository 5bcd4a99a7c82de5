#!/bin/sh
# usage: kit.sh ARCHITECTURE JOBS
# Builds gan2shape, g2s_tests and g2s_bench for one GPU architecture (90: H100 and H200) without a GPU, and puts them with the shared libraries
# that they need into build-gpu-kit, for a machine that has a GPU and its driver but neither compiler nor packages. Needs nvcc.
set -e
cmake --preset cpu -B build-gpu -DG2S_CUDA=ON "-DG2S_CUDA_ARCHITECTURES=$1-real"
cmake --build build-gpu -j "$2" --target gan2shape g2s_tests g2s_bench
kit=build-gpu-kit
rm -rf $kit
mkdir -p $kit/bin $kit/lib
for program in gan2shape g2s_tests g2s_bench; do
  strip -o $kit/bin/$program build-gpu/bin/$program
  # All but those that belong to the machine's own C library.
  ldd build-gpu/bin/$program | awk '/=> \// {print $3}' | grep -Ev '/(libc|libm|libdl|librt|libpthread|ld-linux[^/]*)[.]so' |
    while read -r library; do cp -Lu "$library" $kit/lib/; done
done
strip $kit/lib/libgan2shape.so.*
du -sh $kit
