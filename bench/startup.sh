#!/bin/sh
# Start-up time and size of an installed CPU build.
# usage: startup.sh BUILD [REPEATS]
# Installs BUILD into a temporary folder, stripped, and prints medians in milliseconds:
#   --help; a picture drawn by the generator, from process start to the file written, which bounds the time to the first operator; the three
#   networks of a reconstruction loaded (it stops at a file of latents that is not there, the first thing looked at after them);
# then the megabytes of the program with every shared library that it loads, libc included, and without weights.
set -e
build=$1
repeats=${2:-11}
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$build" --prefix "$prefix" --strip >/dev/null
program=$prefix/bin/gan2shape

median_ms() { # of a command
  for _ in $(seq "$repeats"); do
    begin=$(date +%s%N)
    "$@" >/dev/null 2>&1 || true  # the last one stops with an error
    end=$(date +%s%N)
    echo $(((end - begin) / 10000))
  done | sort -n | awk '{v[NR] = $1} END {printf "%.1f", v[int((NR + 1) / 2)] / 100}'
}

echo "--help: $(median_ms "$program" --help) ms"
echo "one generated picture, start to end: $(median_ms "$program" generate --out "$prefix/pictures" --count 1 --force) ms"
picture=$(ls "$prefix"/share/gan2shape/assets/heads/*_64.png | head -1)
echo "networks of a reconstruction loaded: $(median_ms "$program" reconstruct "$picture" --out "$prefix/out" --latent "$prefix/none.npy") ms"
libraries=$(ldd "$program" | awk '$3 ~ /^\// {print $3} $1 ~ /^\// {print $1}' | sort -u)
bytes=$(wc -c <"$program")
for library in $libraries; do bytes=$((bytes + $(wc -c <"$(readlink -f "$library")"))); done
rest=$(du -sb --exclude=assets --exclude=gan2shape "$prefix" | cut -f1)
echo "program and $(echo "$libraries" | wc -l) shared libraries: $((bytes / 1000000)) MB; licences: $((rest / 1000)) kB"
