#!/bin/sh
# usage: run.sh BUILD CTEST-COMMAND...
# Runs ctest on a build folder, then lists what the tests skipped and why.
build=$1
shift
skipped=$(cd "$build" && pwd)/skipped.txt
: >"$skipped"
settings=$(env | grep -E '^G2S_(ISA|POISON)=' | tr '\n' ' ')
echo "== $build ${settings:+with $settings}"
G2S_SKIP_LOG=$skipped "$@" --test-dir "$build"
status=$?
if [ -s "$skipped" ]; then
  echo "Skipped, and why:"
  sort -u "$skipped" | sed 's/^/  /'
else
  echo "Nothing was skipped."
fi
exit $status
