#!/bin/sh
# usage: demo.sh BUILD
# A photograph to a 3D face where the generator of faces can be had (faces.sh), else a rendered head with the generator that is shipped.
set -e
build=$1 out=out/demo here=$(dirname "$0")
if [ -f weights/ffhq256/mobilestylegan.safetensors ] || sh "$here/faces.sh" "$build"; then
  stem=astronaut picture=tests/images/portraits/astronaut.jpg
  echo "Reconstructing $picture, a photograph, with the generator of faces in weights/ffhq256: about 3 minutes on two cores."
  "$build/bin/gan2shape" reconstruct $picture --preset ffhq --weights weights/ffhq256 --quality draft --progress lines --out "$out" --force
else
  stem=000_64
  echo "The generator of photographs is not here, so the demo is one of rendered heads."
  echo "Reconstructing assets/heads/000_64.png: about 3 minutes on two cores with AVX-512, 5 with AVX2."
  "$build/bin/gan2shape" reconstruct assets/heads/000_64.png --preset default --quality standard --truth assets/heads --progress lines --out "$out" --force
fi
echo
echo "Written to $out/$stem:"
ls "$out/$stem"
echo
echo "Look at $out/$stem/overview.png first. $out/$stem/mesh.glb opens in any 3D viewer (also in a browser: drop it on a glTF viewer's page);"
echo "views/ has the head turned, relight/ has it under other lights. Your own picture: $build/bin/gan2shape reconstruct PICTURE --out out"
