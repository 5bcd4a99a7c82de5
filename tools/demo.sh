#!/bin/sh
# usage: demo.sh BUILD
# One picture of a head to a mesh, at the quality of a first look.
set -e
out=out/demo
"$1/bin/gan2shape" reconstruct assets/heads/000_64.png --quality draft --out "$out" --force
echo
echo "Written to $out/000_64:"
ls "$out/000_64"
echo "Look at $out/000_64/overview.png first; mesh.glb opens in any 3D viewer."
