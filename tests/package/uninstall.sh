#!/bin/sh
# usage: uninstall.sh SOURCE BUILD WORK
# What was installed below DESTDIR is gone after cmake/uninstall.sh, and what was there before is not.
set -e
test=package/uninstall source=$1 build=$2 work=$3/uninstall
. "$source/tests/package/common.sh"
rm -rf "$work"
mkdir -p "$work/dest/usr/local/share/gan2shape" "$work/list"
echo mine >"$work/dest/usr/local/share/gan2shape/mine.txt"
install_into "$work/list/install_manifest.txt" /usr/local "$work/dest"
[ -x "$work/dest/usr/local/bin/gan2shape" ] || fail "nothing was installed below DESTDIR"
DESTDIR=$work/dest sh "$source/cmake/uninstall.sh" "$work/list"
left=$(cd "$work/dest" && find . ! -type d)
[ "$left" = ./usr/local/share/gan2shape/mine.txt ] || fail "left behind, or gone: $left"
rm "$work/dest/usr/local/share/gan2shape/mine.txt"
left=$(find "$work/dest" -path '*gan2shape*' ! -path '*/share/gan2shape' -mindepth 1 | head -5)
[ -z "$left" ] || fail "folders left behind: $left"
if DESTDIR=$work/dest sh "$source/cmake/uninstall.sh" "$work/list" 2>/dev/null; then fail "a second time was no error"; fi
rm -rf "$work"
