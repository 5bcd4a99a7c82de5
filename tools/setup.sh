#!/bin/sh
# Installs the Debian and Ubuntu packages that the build needs and that are missing. Quick when nothing is.
set -e
packages="g++ make cmake ninja-build libpng-dev libjpeg-dev libwebp-dev libtiff-dev libheif-dev liblcms2-dev libexif-dev libssl-dev zlib1g-dev libxxhash-dev libstb-dev libdlpack-dev libpugixml-dev libflatbuffers-dev libcli11-dev nlohmann-json3-dev doctest-dev pkg-config"

if ! command -v dpkg-query >/dev/null; then
  echo "setup: no Debian packages here; install the equivalents of: $packages" >&2
  exit 0
fi
missing=
for package in $packages; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "setup: installing$missing"
sudo=
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup: run as root, or install sudo, or install:$missing" >&2; exit 1; }
  sudo=sudo
fi
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing </dev/null
