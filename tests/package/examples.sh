#!/bin/sh
# usage: examples.sh SOURCE WORK HOW C-COMPILER C++-COMPILER
# Builds the examples on WORK/prefix, HOW being cmake, pkg-config or plain, or one of these with -static, and runs them from another folder.
set -e
source=$1 work=$2/examples-$3 how=$3 cc=$4 cxx=$5 prefix=$2/prefix
test=package/examples_$how
. "$source/tests/package/common.sh"
need cmake "$cc" "$cxx"
libdir=$(dirname "$(find "$prefix" -name libgan2shape.a)")
unset LD_LIBRARY_PATH GAN2SHAPE_ASSETS
rm -rf "$work"
mkdir -p "$work/bin" "$work/elsewhere"

# In a copy, where nothing of the tree is near.
cp -r "$source/examples" "$work/source"
cd "$work/source"
names="c/picture_and_gradient.c c/reconstruct.c cpp/fit_latent.cpp cpp/train_network.cpp"
each() {  # the compiler line of each, before and after the source
  before=$1 after=$2
  for name in $names; do
    case $name in c/*) compiler="$cc -std=c99" ;; *) compiler="$cxx -std=c++20" ;; esac
    quietly $compiler -O1 $before $name -o "$work/bin/$(basename "${name%.*}")" $after
  done
}
# What a static library is made with must be there in full.
# Those of pictures are what the build found.
pictures=$(sed -n 's/^Libs.private:.*-lpugixml\(.*\) -lstdc++.*/\1/p' "$libdir/pkgconfig/gan2shape.pc")
static="-lpng -lcrypto -lz -lexif -lxxhash -lpugixml$pictures -lstdc++ -lm -lpthread -ldl"
case $how in
  cmake | cmake-static)
    [ "$how" = cmake ] || more=-DGAN2SHAPE_STATIC=ON
    quietly cmake -S . -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" $more
    quietly cmake --build "$work/build"
    for name in $names; do mv "$work/build/$(basename "${name%.*}")" "$work/bin"; done ;;
  pkg-config | pkg-config-static)
    need pkg-config
    export PKG_CONFIG_LIBDIR="$libdir/pkgconfig"  # where nobody else's files are
    if [ "$how" = pkg-config ]; then each "" "$(pkg-config --cflags --libs gan2shape) -Wl,-rpath,$libdir"
    else each "" "$(pkg-config --cflags --libs --static gan2shape | sed 's/-lgan2shape/-l:libgan2shape.a/')"; fi ;;
  plain) each "-I $prefix/include -I $prefix/include/gan2shape" "-L $libdir -lgan2shape -Wl,-rpath,$libdir" ;;
  plain-static) each "-I $prefix/include -I $prefix/include/gan2shape" "$libdir/libgan2shape.a $static" ;;
  *) fail "does not know how to build by $how" ;;
esac

# The program of the page.
if [ "$how" = plain ]; then
  sed -n '/^```c$/,/^```$/p' "$source/docs/embedding.md" | grep -v '^```' >page.c
  quietly $cc -std=c99 -Wall -Wextra -Werror page.c -I "$prefix/include" -L "$libdir" -lgan2shape -Wl,-rpath,"$libdir" -o "$work/bin/page"
  "$work/bin/page" | grep -qF "$(realpath "$prefix")/share/gan2shape/assets" || fail "the page's program does not name the prefix's assets"
fi

cd "$work/elsewhere"
case $how in
  *-static) export GAN2SHAPE_ASSETS="$prefix/share/gan2shape/assets" ;;  # a program that it is part of may lie anywhere
esac
for name in $names; do
  loaded=$(ldd "$work/bin/$(basename "${name%.*}")" | awk '$1 ~ /^libgan2shape/ {print $3}')
  case $how in
    *-static) [ -z "$loaded" ] || fail "$name loads $loaded" ;;
    *) [ "$(realpath "$(dirname "$loaded")")" = "$(realpath "$libdir")" ] || fail "$name loads '$loaded', not the library in $libdir" ;;
  esac
done
head=$prefix/share/gan2shape/assets/heads/000_64.png
"$work/bin/picture_and_gradient" picture.png | tee said.txt
awk '/^brightness/ {sub(",", "", $2); if ($NF > $2) good = 1} END {exit !good}' said.txt || fail "the picture did not become brighter"
"$work/bin/train_network" 200 >said.txt
awk '/^iteration/ {right = $NF} END {print "train_network: right", right; exit !(right > 0.8)}' said.txt || fail "the network learnt nothing"
"$work/bin/fit_latent" "$head" fitted.png 6 >said.txt
awk '/^iteration/ {if (!n++) first = $NF; last = $NF} END {print "fit_latent:", first, "to", last; exit !(n > 1 && last < first)}' said.txt ||
  fail "the latent was not fitted"
"$work/bin/reconstruct" "$head" out '{"scale": 0.001}' 2>bar.txt
grep -q '\[##*\.*\]' bar.txt || fail "no bar was drawn"
for file in picture.png fitted.png out/mesh.obj out/overview.png; do [ -s $file ] || fail "$file was not written"; done
if "$work/bin/reconstruct" none.png out2 2>said.txt; then fail "a picture that is not there was no error"; fi
grep -q none.png said.txt || fail "the error does not name the file: $(cat said.txt)"
