#!/bin/sh
# usage: skipped.sh TEST REASON...
# A test that cannot run here: says why, in the list at the end of the run too.
test=$1
shift
echo "[skipped] $test: $*"
if [ -n "$G2S_SKIP_LOG" ]; then echo "$test: $*" >>"$G2S_SKIP_LOG"; fi
exit 77
