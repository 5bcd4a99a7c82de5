#!/bin/sh
# usage: run.sh PYTHON LIBRARY TEST.py
# A test of the module in python/ on a library that was just built. Where PYTHON has no numpy, an environment in the working directory gets one.
source=$(cd "$(dirname "$0")/../.." && pwd)
name=python/$(basename "$3" .py | sed 's/^test_//')
python=$1
has_numpy() { "$python" -c 'import numpy' 2>/dev/null; }
if ! has_numpy; then
  environment=$PWD/python-environment
  python=$environment/bin/python
  has_numpy || flock "$PWD" sh -c '
    "$2/bin/python" -c "import numpy" || { "$1" -m venv "$2" && "$2/bin/python" -m pip --disable-pip-version-check -q install numpy; }
  ' sh "$1" "$environment" >/dev/null 2>&1
  has_numpy || exec sh "$source/tests/skipped.sh" "$name" "$1 has no numpy, and none can be fetched"
fi
exec env PYTHONPATH="$source/python" PYTHONDONTWRITEBYTECODE=1 GAN2SHAPE_LIBRARY="$2" "$python" "$3"
