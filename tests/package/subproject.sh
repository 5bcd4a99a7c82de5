#!/bin/sh
# usage: subproject.sh SOURCE WORK HOW configure|build [CMAKE-OPTION...]
# A project that has gan2shape within it: HOW is subdirectory or fetchcontent, a folder beside this file.
set -e
source=$1 work=$2/$3-$4 how=$3 upto=$4
shift 4
test=package/${how}_$upto
. "$source/tests/package/common.sh"
rm -rf "$work"
mkdir -p "$work"
! command -v ninja >/dev/null || set -- -G Ninja "$@"  # which uses all processors
quietly cmake -S "$source/tests/package/$how" -B "$work/build" -DGAN2SHAPE_FOLDER="$source" "$@"
targets=$(cmake --build "$work/build" --target help)
# It brings the library, and neither its tests nor its rules for installing.
echo "$targets" | grep -q libgan2shape || fail "there is no library in it"
! echo "$targets" | grep -q g2s_tests || fail "its tests are built too"
if grep -rq gan2shape.pc --include=cmake_install.cmake "$work/build"; then fail "it is installed too"; fi
[ "$upto" = build ] || exit 0
quietly cmake --build "$work/build" --target host
cd "$work"
unset GAN2SHAPE_ASSETS LD_LIBRARY_PATH
"$work/build/host" picture.png
[ -s picture.png ] || fail "no picture was written"
rm -rf "$work"
