#!/bin/sh
# usage: keep_messages.sh COMPILER ARGUMENTS... -o OBJECT
# Runs a compiler and keeps what it says in OBJECT.messages, for tools/cuda_report.py; shows it only if the compiler fails.
object=
previous=
for argument in "$@"; do
  if [ "$previous" = -o ]; then object=$argument; fi
  previous=$argument
done
if ! "$@" >"$object.messages" 2>&1; then
  cat "$object.messages"
  rm -f "$object.messages"
  exit 1
fi
