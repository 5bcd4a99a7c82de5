#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  g2s::test::fuzz_reader(g2s::convert::Format::tflite, data, size);
  return 0;
}
