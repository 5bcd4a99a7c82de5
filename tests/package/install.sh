#!/bin/sh
# usage: install.sh SOURCE BUILD WORK
# A fresh prefix, WORK/prefix, for the tests beside this one. It was installed elsewhere and moved; nothing in it may say where it was made.
set -e
test=package/install source=$1 build=$2 work=$3
. "$source/tests/package/common.sh"
rm -rf "$work"
mkdir -p "$work"
install_into "$work/manifest.txt" "$work/first" ""
mv "$work/first" "$work/prefix"
named=$(grep -rlF -e "$build" -e "$work/first" "$work/prefix" || true)
[ -z "$named" ] || fail "these name the build folder: $named"
named=$(grep -rlF "$source/" "$work/prefix" || true)
[ -z "$named" ] || fail "these name the source folder: $named"

# Help in shells and for man.
for file in bash-completion/completions/gan2shape zsh/site-functions/_gan2shape zsh/vendor-completions/_gan2shape \
    fish/vendor_completions.d/gan2shape.fish man/man1/gan2shape.1 man/man1/gan2shape-reconstruct.1 man/man1/gan2shape-info.1; do
  [ -s "$work/prefix/share/$file" ] || fail "share/$file is not installed"
done

# The program runs on the library and the assets of the prefix.
folder=$(dirname "$(find "$work/prefix" -name libgan2shape.so)")
loaded=$(env -u LD_LIBRARY_PATH ldd "$work/prefix/bin/gan2shape" | awk '$1 ~ /^libgan2shape/ {print $3}')
[ "$(dirname "$(realpath "$loaded")")" = "$(realpath "$folder")" ] || fail "the program loads '$loaded', not the library in $folder"
cd /
assets=$(env -u GAN2SHAPE_ASSETS -u LD_LIBRARY_PATH "$work/prefix/bin/gan2shape" info | sed -n 's/^assets: //p')
[ "$(realpath "$assets")" = "$(realpath "$work/prefix/share/gan2shape/assets")" ] || fail "assets are looked for in $assets"
