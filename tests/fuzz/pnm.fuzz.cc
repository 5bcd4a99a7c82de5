#include "engine/picture_files.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;  // the caller has seen the first bytes
  g2s::test::fuzz_picture(g2s::read_pnm, {reinterpret_cast<const char*>(data), size});
  return 0;
}
