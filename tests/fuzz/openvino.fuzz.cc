// An archive, or the text of a model, a byte of zero, and the numbers that lie beside it.
#include <algorithm>
#include <new>
#include <string>

#include <pugixml.hpp>

#include "tests/fuzz/fuzz.h"

namespace {

// The parser's tree counts too.
bool count_the_parser() {
  pugi::set_memory_management_functions([](std::size_t bytes) { return ::operator new(bytes); }, [](void* block) { ::operator delete(block); });
  return true;
}
const bool counted = count_the_parser();

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const bool archive = size > 1 && data[0] == 'P' && data[1] == 'K';
  const std::uint8_t* end = archive ? data + size : std::find(data, data + size, 0);
  const auto text = static_cast<std::size_t>(end - data);
  const std::string beside(end == data + size ? end : end + 1, data + size);
  g2s::test::fuzz_reader(g2s::convert::Format::openvino, data, text, beside);
  return 0;
}
