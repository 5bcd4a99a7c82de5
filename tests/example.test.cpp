// The method in one file (examples/method.cpp), as built, against the golden trace that it reproduces.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/cli/program.h"
#include "tests/support/traces.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// What the program left in `file`, beside the golden trace.
std::vector<TraceItem> items_of(const std::string& file) {
  const SafetensorsFile results(file);
  NamedTensors got;
  for (const auto& entry : results.entries()) got.emplace_back(entry.name, results.get(entry.name));
  std::vector<TraceItem> items = compare_trace(SafetensorsFile(source_path("tests/golden/synface64.safetensors")), got);
  // The trace has more than the steps: each frozen network alone, and the renderer on a depth given by a formula.
  std::erase_if(items, [](const TraceItem& item) { return !item.name.starts_with("step"); });
  REQUIRE(items.size() == 475);  // a name that is missing is an item, too
  return items;
}

}  // namespace

TEST_CASE("the method in one file computes the golden trace in f64 and f32") {
  const std::string f64 = G2S_BUILD_DIR "/method_f64.safetensors", f32 = G2S_BUILD_DIR "/method_f32.safetensors";
  std::filesystem::remove(f64), std::filesystem::remove(f32);
  const Outcome outcome = run_program({}, {.program = G2S_EXAMPLE});
  INFO(outcome.out, outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK(outcome.out.find("All agree.") != std::string::npos);
  // In f64 it is as near as the file can tell, whose images have 16 bits: far below the tolerance.
  const std::vector<TraceItem> in_f64 = items_of(f64), in_f32 = items_of(f32);
  for (const TraceItem& item : in_f64) {
    INFO(item.name, ": ", item.text);
    CHECK(item.error <= 0.01);
  }
  // So are, in f32, the losses and all that is no gradient.
  check_f32_trace_items(in_f32);
  for (const TraceItem& item : in_f32) {
    INFO(item.name, ": ", item.text);
    if (!may_flip(item)) CHECK(item.error <= 0.05);
  }
}
