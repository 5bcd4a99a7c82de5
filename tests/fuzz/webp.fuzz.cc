#include "engine/picture_files.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  g2s::test::fuzz_picture(g2s::read_webp, {reinterpret_cast<const char*>(data), size});
  return 0;
}
