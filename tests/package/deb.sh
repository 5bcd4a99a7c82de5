#!/bin/sh
# usage: deb.sh SOURCE BUILD WORK
# The Debian package: what it says of itself, what is in it, and that what is in it runs.
set -e
test=package/deb source=$1 build=$2 work=$3/deb
. "$source/tests/package/common.sh"
need cpack dpkg-deb dpkg-shlibdeps readelf
rm -rf "$work"
mkdir -p "$work"
cd "$work"
quietly cpack --config "$build/CPackConfig.cmake" -G DEB -B "$work"
set -- "$work"/*.deb
[ $# = 1 ] && [ -s "$1" ] || fail "not one package: $*"
package=$1
for field in Package Version Architecture Maintainer Description Section Depends; do
  [ -n "$(dpkg-deb --field "$package" $field)" ] || fail "the package has no $field"
done
depends=$(dpkg-deb --field "$package" Depends)
for library in libc6 libstdc++6 libpng libjpeg libwebp libwebpdemux libtiff libheif liblcms2 libexif libssl libxxhash libpugixml zlib1g; do
  echo "$depends" | grep -qF "$library" || fail "$library is not in Depends: $depends"
done
dpkg-deb --contents "$package" >contents.txt
awk '$2 != "root/root" {print; bad = 1} END {exit bad}' contents.txt || fail "files that are not root's"
awk '$1 ~ /^.......w.|^........w/ && $1 !~ /^l/ {print; bad = 1} END {exit bad}' contents.txt || fail "files that anybody may write"
for file in ./usr/bin/gan2shape libgan2shape.so.0 ./usr/include/gan2shape/gan2shape.h gan2shapeConfig.cmake gan2shape.pc \
    ./usr/share/man/man1/gan2shape-reconstruct.1 ./usr/share/bash-completion/completions/gan2shape \
    ./usr/share/zsh/vendor-completions/_gan2shape ./usr/share/fish/vendor_completions.d/gan2shape.fish \
    ./usr/share/gan2shape/assets/README.md ./usr/share/gan2shape/LICENSE; do
  grep -qF "$file" contents.txt || fail "$file is not in the package"
done
dpkg-deb -x "$package" tree
(cd tree && dpkg-deb --control "$package" ../control)
(cd tree && md5sum --quiet -c ../control/md5sums) || fail "checksums are wrong"
if readelf -S tree/usr/bin/gan2shape | grep -q '\.debug_info'; then fail "not stripped"; fi
named=$(grep -rlF "$build" tree control || true)
[ -z "$named" ] || fail "these name the build folder: $named"
env -u GAN2SHAPE_ASSETS tree/usr/bin/gan2shape info | grep -F "$work/tree" || fail "the program does not find the package's assets"
dpkg-deb --info "$package" | sed -n 's/^ \(Package\|Version\|Installed-Size\|Depends\)/\1/p'
rm -rf "$work"
