#!/bin/sh
# usage: run.sh PROGRAM FAMILY FOLDER
# The table of a family with the kernels of FOLDER/*.ptx interpreted; fails too if none of them ran.
program=$1 family=$2 folder=$3
rm -f "$folder/interpreted.txt"
G2S_TEST_DEVICE=cuda G2S_SIMT_PTX=$folder "$program" --no-intro=true "--source-file=*/kernels/$family/*" "--test-case=$family,$family:*table*of*cases*" || exit 1
if ! grep -qv ' instructions' "$folder/interpreted.txt"; then
  echo "no kernel of $folder was interpreted"
  exit 1
fi
echo "Interpreted:"
cat "$folder/interpreted.txt"
