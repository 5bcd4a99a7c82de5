// Golden traces on a device that take long in the emulator.
#include <doctest/doctest.h>

#include "tests/support/cases.h"
#include "tests/support/traces.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("traces: the steps in f32 on the device [long]" * doctest::skip(no_test_device())) {
  check_f32_trace_items(trace_items(source_path("tests/golden/synface64"), DType::f32, test_device()));
}

TEST_CASE("traces: a face at 128 pixels on the device [long]" * doctest::skip(no_test_device())) {
  const auto folder = shared_path("golden");
  if (folder) check_trace_items(trace_items(*folder + "/face128", DType::f64, test_device()));
}
