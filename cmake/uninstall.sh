#!/bin/sh
# usage: uninstall.sh BUILD
# Removes what the last `make install` from this build folder wrote, and the folders that are empty then. DESTDIR as for the installation.
set -e
manifest=$1/install_manifest.txt
[ -f "$manifest" ] || { echo "uninstall: $manifest is not there: nothing was installed from $1" >&2; exit 1; }
while read -r file || [ -n "$file" ]; do
  rm -f "$DESTDIR$file"
done <"$manifest"
while read -r file || [ -n "$file" ]; do
  folder=$(dirname "$file")
  while case $folder in *gan2shape*) true ;; *) false ;; esac && rmdir "$DESTDIR$folder" 2>/dev/null; do folder=$(dirname "$folder"); done
done <"$manifest"
rm -f "$manifest"
echo "uninstall: removed"
