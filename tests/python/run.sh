#!/bin/sh
# usage: run.sh PYTHON LIBRARY TEST.py
# A test of the module in python/ on a library that was just built.
source=$(cd "$(dirname "$0")/../.." && pwd)
name=python/$(basename "$3" .py | sed 's/^test_//')
if ! "$1" -c 'import numpy' 2>/dev/null; then exec sh "$source/tests/skipped.sh" "$name" "numpy is not installed for $1"; fi
exec env PYTHONPATH="$source/python" PYTHONDONTWRITEBYTECODE=1 GAN2SHAPE_LIBRARY="$2" "$1" "$3"
