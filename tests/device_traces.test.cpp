// Golden traces on a device that take long in the emulator.
#include <doctest/doctest.h>

#include "models/gan2shape/trace.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/trace_compare.h"

using namespace g2s;
using namespace g2s::test;

namespace {

std::vector<TraceItem> trace_items(const std::string& base, DType dtype) {
  TraceOptions options;
  options.lpips = source_path("assets/lpips_vgg.safetensors");
  options.device = test_device();
  options.dtype = dtype;
  const auto items = compare_trace(SafetensorsFile(base + ".safetensors"), run_trace(base + ".json", options));
  REQUIRE(items.size() > 100);
  return items;
}

}  // namespace

// As on the CPU (tests/trace.test.cpp): where rounding decides between two sides of a kink, single gradients go far beyond their tolerance.
TEST_CASE("traces: the steps in f32 on the device [long]" * doctest::skip(no_test_device())) {
  const auto items = trace_items(source_path("tests/golden/synface64"), DType::f32);
  std::size_t beyond = 0;
  for (const TraceItem& item : items) {
    INFO(item.name, ": ", item.text);
    if (item.error > 1) ++beyond;
    CHECK(item.error <= (may_flip(item) ? 40 : 1));
  }
  CHECK(beyond <= items.size() / 30);
}

TEST_CASE("traces: a face at 128 pixels on the device [long]" * doctest::skip(no_test_device())) {
  const auto folder = shared_path("golden");
  if (!folder) return;
  for (const TraceItem& item : trace_items(*folder + "/face128", DType::f64)) {
    INFO(item.name, ": ", item.text);
    CHECK(item.error <= 1);
  }
}
