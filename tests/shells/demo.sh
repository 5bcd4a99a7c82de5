#!/bin/sh
# usage: demo.sh SOURCE WORK
# A machine with nvcc and without a GPU: the demo is configured without CUDA, and what is built afterwards looks for nvcc again.
set -e
source=$1 work=$2/demo test=shells/demo
for tool in cmake ninja; do command -v $tool >/dev/null || sh "$source/tests/skipped.sh" "$test" "there is no $tool" || exit $?; done
rm -rf "$work"
mkdir -p "$work/bin"
# A compiler that says that it was called, and a tool that finds no device.
printf '#!/bin/sh\n: >"%s/called"\nexit 1\n' "$work" >"$work/bin/nvcc"
printf '#!/bin/sh\nexit 9\n' >"$work/bin/nvidia-smi"
chmod +x "$work/bin/nvcc" "$work/bin/nvidia-smi"
export PATH="$work/bin:$PATH"
unset CUDACXX
cd "$source"
fail() { cat "$work/log.txt"; echo "$test: $*"; exit 1; }
cuda() { sed -n 's/^G2S_CUDA:[A-Z]*=//p' "$work/build/CMakeCache.txt"; }
sh tools/configure.sh "$work/build" cpu demo >"$work/log.txt" 2>&1 || fail "the demo was not configured"
[ "$(cuda)" = OFF ] && [ ! -e "$work/called" ] || fail "the demo asks for CUDA: $(cuda)"
sh tools/configure.sh "$work/build" cpu demo >"$work/log.txt" 2>&1 || fail "a second demo fails"
[ "$(cuda)" = OFF ] || fail "a second demo asks for CUDA"
sh tools/configure.sh "$work/build" cpu >"$work/log.txt" 2>&1 || fail "a build after the demo fails"
[ "$(cuda)" = AUTO ] && [ -e "$work/called" ] || fail "a build after the demo does not look for nvcc"
# With a device the kernels are the demo's business.
rm -rf "$work/build" "$work/called"
printf '#!/bin/sh\necho "GPU 0: one"\n' >"$work/bin/nvidia-smi"
sh tools/configure.sh "$work/build" cpu demo >"$work/log.txt" 2>&1 || fail "the demo was not configured"
[ "$(cuda)" = AUTO ] && [ -e "$work/called" ] || fail "with a GPU the demo does without it"
rm -rf "$work"
echo "$test: without CUDA where there is no GPU"
