#!/bin/sh
# usage: bugcases.sh PROGRAM TESTS SHARED WORK
# Files from public reports that were read wrongly, refused or lost (../shared/bugcases): what each README asks for, one line a case.
program=$1 tests=$2 cases=${G2S_SHARED:-$3}/bugcases work=$4
if [ ! -d "$cases" ]; then
  line="bugcases: the shared data has no bugcases here ($cases)"
  echo "[skipped] $line"
  [ -z "$G2S_SKIP_LOG" ] || echo "$line" >>"$G2S_SKIP_LOG"
  exit 0
fi
rm -rf "$work"
mkdir -p "$work"
failed=0

said() { cat "$work/out.txt" "$work/err.txt"; }
run() { "$program" "$@" >"$work/out.txt" 2>"$work/err.txt"; }

# check NAME WANTED-EXIT-CODE WANTED-TEXT COMMAND...: '' as the text asks for none.
check() {
  name=$1 code=$2 text=$3
  shift 3
  run "$@"
  got=$?
  if [ "$got" = "$code" ] && said | grep -qF -- "$text"; then
    echo "ok      $name"
  else
    echo "FAILED  $name: exit code $got instead of $code, or not '$text':"
    said | sed 's/^/        /'
    failed=1
  fi
}
there() { if [ -e "$2" ]; then echo "ok      $1"; else echo "FAILED  $1: $2 is missing"; failed=1; fi; }
absent() { if [ -e "$2" ]; then echo "FAILED  $1: $2 was written"; failed=1; else echo "ok      $1"; fi; }
# pictures NAME FOLDER COUNT
pictures() {
  count=$(ls "$2" 2>/dev/null | grep -c '\.png$')
  if [ "$count" = "$3" ]; then echo "ok      $1"; else echo "FAILED  $1: $count pictures, not $3"; failed=1; fi
}
draft="--quality draft --scale 0.001"

f=$cases/stylegan3/stylegan3.pkl
check "stylegan3: refused by its name" 1 "has a StyleGAN3 generator" convert "$f" "$work/a/stylegan2_g.safetensors"
absent "stylegan3: nothing is written" "$work/a/stylegan2_g.safetensors"
f=$cases/discriminator_relu/relu.pkl
check "discriminator_relu: refused by its activation" 1 "the activation relu" convert "$f" "$work/d.safetensors" --kind stylegan2-discriminator
absent "discriminator_relu: nothing is written" "$work/d.safetensors"
check "not_square: refused by its form" 1 "not square" convert "$cases/not_square/wide.pkl" "$work/w.safetensors"
check "plain_discriminator: the generator is converted" 0 "StyleGAN2 generator" convert "$cases/plain_discriminator/plain.pkl" "$work/g.safetensors"
check "half_overflow: the first is named" 1 "which becomes infinite as f16" convert "$cases/half_overflow/big.pt" "$work/h.safetensors" --dtype f16
absent "half_overflow: nothing is written" "$work/h.safetensors"

for f in wplus.npy wplus_rank2.npy wplus_rank2.pt gan2shape.pt rosinality_projector.pt; do
  check "latents: $f is read" 0 "1 picture of" generate --latent "$cases/latents/$f" --out "$work/latents/$f"
  pictures "latents: $f is one picture" "$work/latents/$f" 1
done

head=$cases/masks/head.png
for f in cutout_as_mask labels01 voc_palette twice_the_size white; do
  check "masks: $f is understood" 0 "finished" reconstruct "$head" --mask "$cases/masks/$f.png" $draft --out "$work/masks/$f"
done
for f in labels01 voc_palette; do
  if cmp -s "$work/masks/$f/head/mask.png" "$work/masks/white/head/mask.png"; then echo "ok      masks: $f is the mask that white.png is"
  else echo "FAILED  masks: $f is another mask than white.png"; failed=1; fi
done

for f in grey8_trns head_magenta head_white rgb8_trns; do
  check "png_colour_key: $f has transparency" 0 "channels $([ $f = grey8_trns ] && echo 2 || echo 4)" info "$cases/png_colour_key/$f.png"
done
for f in head_magenta head_white; do
  check "png_colour_key: of $f it is the mask" 0 "its alpha channel is the mask" reconstruct "$cases/png_colour_key/$f.png" $draft --out "$work/key"
done

cafe=$(printf 'caf\351')
cp "$cases/name_not_utf8/head.png" "$work/$cafe.png"
check "name_not_utf8: the fit tells its result as JSON" 0 '"results"' reconstruct "$work/$cafe.png" $draft --json --out "$work/names"
there "name_not_utf8: and writes it" "$work/names/$cafe/result.json"

if G2S_SHARED=$(dirname "$cases") "$tests" --no-intro=true "--test-case=bug cases:*" >"$work/out.txt" 2>&1 && grep -q '[1-9] passed' "$work/out.txt"; then
  echo "ok      cmyk_jpeg: pixels as Pillow and browsers show them"
else
  echo "FAILED  cmyk_jpeg:"
  sed 's/^/        /' "$work/out.txt"
  failed=1
fi
rm -rf "$work"
exit $failed
