#!/bin/sh
# usage: wheel.sh PYTHON COMPILER FOLDER
# The wheel in a fresh environment, with what it says that it needs, and its examples from another folder.
set -e
source=$(cd "$(dirname "$0")/../.." && pwd)
skip() { exec sh "$source/tests/skipped.sh" python/wheel "$@"; }
[ $# -eq 3 ] || skip needs Python and a build without sanitizers
python=$1
export CXX="$2"
folder=$3
unset PYTHONPATH GAN2SHAPE_LIBRARY GAN2SHAPE_ASSETS
rm -rf "$folder/venv" "$folder/wheels" "$folder/elsewhere"
mkdir -p "$folder/wheels" "$folder/elsewhere"
"$python" -m venv "$folder/venv" || skip "$python makes no virtual environments"
pip="$folder/venv/bin/python -m pip --disable-pip-version-check -q"
$pip download --no-deps -d "$folder/index" scikit-build-core numpy 2>"$folder/index.txt" || skip the package index cannot be reached

$pip wheel --no-deps -w "$folder/wheels" -C cmake.define.G2S_CUDA=OFF "$source"
wheel=$(ls "$folder"/wheels/*.whl)
echo "$(basename "$wheel"): $(stat -c %s "$wheel") bytes"
case $wheel in */gan2shape-*-py3-none-*.whl) ;; *) echo "not of every Python 3"; exit 1 ;; esac

$pip install "$wheel"
cd "$folder/elsewhere"
bin=$folder/venv/bin
"$bin/python" "$source/tests/python/installed.py"
"$bin/gan2shape" --version
"$bin/gan2shape" generate --out pictures --count 1
"$bin/python" "$source/examples/python/lpips_loss.py"
"$bin/python" "$source/examples/python/reconstruction.py" "$source/assets/heads/004_64.png" head.png 0.01
$pip install scipy
"$bin/python" "$source/examples/python/scipy_gradient.py" "$source/assets/heads/004_64.png" gradient.png
ls -l head.png gradient.png
rm -rf "$folder/venv" "$folder/index"
