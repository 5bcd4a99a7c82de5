#include <zlib.h>

#include "engine/picture_files.h"
#include "tests/fuzz/fuzz.h"

namespace {

std::size_t number(const std::string& s, std::size_t at) {
  std::size_t value = 0;
  for (std::size_t i = at; i < at + 4; ++i) value = value << 8 | static_cast<unsigned char>(s[i]);
  return value;
}

// Right checksums, so that what lies behind them is tried.
void mend(std::string& png) {
  for (std::size_t at = 8; at + 12 <= png.size();) {
    const std::size_t length = number(png, at);
    if (length > png.size() - at - 12) return;
    const uLong sum = crc32(0, reinterpret_cast<const Bytef*>(png.data() + at + 4), static_cast<uInt>(length + 4));
    for (std::size_t i = 0; i < 4; ++i) png[at + 8 + length + i] = static_cast<char>(sum >> (24 - 8 * i) & 255);
    at += length + 12;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string png(reinterpret_cast<const char*>(data), size);
  g2s::test::fuzz_picture(g2s::read_png, png);
  mend(png);
  g2s::test::fuzz_picture(g2s::read_png, png);
  return 0;
}
