#!/bin/sh
# usage: kill_and_resume.sh PROGRAM HEADS WORK ROUNDS [SEED]
# Fits of two pictures at a time are killed (SIGKILL) at random moments and gone on with: the bytes must be those of a run that nobody
# disturbed. Every third round is killed once more while it goes on. One line a round.
program=$1 heads=$2 work=$3 rounds=$4 seed=${5:-1}
rm -rf "$work"
mkdir -p "$work"
failed=0 launch=

# fit OUT MORE...: short, and saved as often as can be. It says where it is.
fit() {
  out=$1
  shift
  $launch "$program" reconstruct "$heads/000_64.png" "$heads/008_64.png" --preset default --quality draft --scale 0.005 --save-every 0.2 --jobs 2 \
    --progress lines --out "$out" "$@" 2>"$work/said.txt"
}
# All files but result.json, which has times and places.
bytes() { (cd "$1" && find . -type f ! -name result.json | sort | xargs sha256sum); }
now() { date +%s.%N; }
calculate() { awk "BEGIN { printf \"%.3f\", $1 }"; }
# A number from 0 to 1, the same for the same seed, round and kill.
random() { awk "BEGIN { srand($seed * 100000 + $1 * 10 + $2); rand(); print rand() }"; }
# The last phase that each picture was seen in.
where() {
  for stem in 000_64 008_64; do
    phase=$(sed -n "s/^picture . of 2, $stem: \(.*\)  [0-9]*\/.*/\1/p" "$work/said.txt" | tail -n 1)
    grep -q "$stem: finished" "$work/said.txt" && phase=finished
    printf '%s in %s, ' "$stem" "${phase:-no phase yet}"
  done
}
# killed OUT SECONDS MORE...: fails if the fit was done before.
killed() {
  out=$1 after=$2
  shift 2
  launch=exec  # so that it is the program that is killed
  fit "$out" "$@" &
  launch=
  child=$!
  sleep "$after"
  kill -9 "$child" 2>/dev/null
  wait "$child" 2>/dev/null
  [ $? = 137 ]
}

start=$(now)
fit "$work/whole" || { echo "FAILED  an undisturbed fit:"; cat "$work/said.txt"; exit 1; }
length=$(calculate "$(now) - $start")
bytes "$work/whole" >"$work/whole.txt"
echo "undisturbed: $(wc -l <"$work/whole.txt") files, $length s"

round=0 tries=0 kills=0
while [ "$round" -lt "$rounds" ] && [ "$tries" -lt $((10 * rounds)) ]; do
  tries=$((tries + 1))
  rm -rf "$work/out"
  after=$(calculate "$length * $(random $tries 1)")
  killed "$work/out" "$after" || continue  # it was done before
  round=$((round + 1)) kills=$((kills + 1))
  line="round $round: killed after $after s ($(where)"
  if [ $((round % 3)) = 0 ]; then
    after=$(calculate "$length * $(random $tries 2)")
    if killed "$work/out" "$after" --resume; then
      kills=$((kills + 1))
      line="${line}again after $after s, $(where)"
    fi
  fi
  line="${line%, })"
  if ! fit "$work/out" --resume; then
    echo "FAILED  $line, not gone on with:"
    cat "$work/said.txt"
    failed=1
    continue
  fi
  bytes "$work/out" >"$work/out.txt"
  if cmp -s "$work/whole.txt" "$work/out.txt" && [ -f "$work/out/000_64/result.json" ] && [ -f "$work/out/008_64/result.json" ]; then
    echo "$line: the same bytes"
  else
    echo "FAILED  $line, other bytes:"
    diff "$work/whole.txt" "$work/out.txt" | head -n 20
    failed=1
  fi
done
if [ "$round" -lt "$rounds" ]; then
  echo "FAILED  only $round of $rounds fits were killed before they were done"
  failed=1
fi
echo "$kills kills in $round rounds, seed $seed: $([ $failed = 0 ] && echo "always the bytes of the undisturbed run" || echo "FAILED")"
rm -rf "$work"
exit $failed
