# Read by the scripts beside it: what they say and do alike. `test` is the script's name in the list of tests.
fail() {
  echo "$test: $*"
  exit 1
}
skip() {
  sh "$source/tests/skipped.sh" "$test" "$@" || exit $?
}
need() {
  for tool in "$@"; do command -v "$tool" >/dev/null || skip "there is no $tool"; done
}
# A command whose output is of interest only if it fails.
quietly() {
  "$@" >"$work/last.log" 2>&1 || { cat "$work/last.log"; fail "failed: $*"; }
}
# Installs as `cmake --install` does; the list for `make uninstall` stays that of the user's last installation, and goes to $1.
install_into() {
  manifest=$build/install_manifest.txt
  [ ! -f "$manifest" ] || mv "$manifest" "$manifest.kept"
  DESTDIR=$3 quietly cmake --install "$build" --prefix "$2"
  mv "$manifest" "$1"
  [ ! -f "$manifest.kept" ] || mv "$manifest.kept" "$manifest"
}
