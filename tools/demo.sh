#!/bin/sh
# usage: demo.sh BUILD
# One picture of a head to a mesh. Full quality: a shortened schedule would be done sooner, but its shape does not show what the method can do.
set -e
out=out/demo
echo "Reconstructing assets/heads/000_64.png: about 3 minutes on two cores with AVX-512, 5 with AVX2."
"$1/bin/gan2shape" reconstruct assets/heads/000_64.png --quality standard --truth assets/heads --progress lines --out "$out" --force
echo
echo "Written to $out/000_64:"
ls "$out/000_64"
echo
echo "Look at $out/000_64/overview.png first. $out/000_64/mesh.glb opens in any 3D viewer (also in a browser: drop it on a glTF viewer's page);"
echo "views/ has the head turned, relight/ has it under other lights. Your own picture: $1/bin/gan2shape reconstruct PICTURE --out out"
