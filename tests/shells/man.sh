#!/bin/sh
# usage: man.sh SOURCE SHARE
# The man pages that the program wrote: man, and mandoc where it is, understand every line.
set -e
source=$1 share=$2 test=shells/man
command -v man >/dev/null || sh "$source/tests/skipped.sh" "$test" "there is no man" || exit $?
said=$(for page in "$share"/man/man1/*.1; do LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings=w -l "$page" 2>&1 >/dev/null; done)
[ -z "$said" ] || { echo "$test: $said"; exit 1; }
for command in reconstruct generate faces evaluate trace prior convert info; do
  page=$share/man/man1/gan2shape-$command.1
  LC_ALL=C.UTF-8 MANWIDTH=80 man -l "$page" | grep -q 'EXIT STATUS' || { echo "$test: $page does not say what the exit codes mean"; exit 1; }
  grep -q "gan2shape.*$command" "$share/man/man1/gan2shape.1" || { echo "$test: gan2shape.1 does not name $command"; exit 1; }
done
LC_ALL=C.UTF-8 MANWIDTH=80 man -l "$share/man/man1/gan2shape-convert.1" | grep -q -e '--allow-nonfinite' || { echo "$test: an option is not there"; exit 1; }
if ! command -v mandoc >/dev/null; then
  echo "$test: there is no mandoc, so the pages were read by man alone"
  exit 0
fi
# A date would make each build another.
said=$(mandoc -T lint -W warning "$share"/man/man1/*.1 | grep -v 'missing date' || true)
[ -z "$said" ] || { echo "$test: $said"; exit 1; }
