// The method in one file (examples/method.cpp), as built, against the golden trace that it reproduces.
#include <doctest/doctest.h>

#include <filesystem>

#include "tests/cli/program.h"
#include "tests/support/traces.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// The trace has more than the steps: each frozen network alone, and the renderer on a depth given by a formula.
bool of_the_steps(const TraceItem& item) {
  for (const char* other : {"ops/", "D/", "lpips/", "G/vector/grad_w", "G/vector/mean_latent"}) {
    if (item.name.starts_with(other)) return false;
  }
  return true;
}

// What the program left in `file`, beside the golden trace.
std::vector<TraceItem> items_of(const std::string& file) {
  const SafetensorsFile results(file);
  NamedTensors got;
  for (const auto& entry : results.entries()) got.emplace_back(entry.name, results.get(entry.name));
  std::vector<TraceItem> items = compare_trace(SafetensorsFile(source_path("tests/golden/synface64.safetensors")), got);
  std::erase_if(items, [](const TraceItem& item) { return !of_the_steps(item); });
  REQUIRE(items.size() == 480);  // a name that is missing is an item, too
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
  check_f32_trace_items(items_of(f32));
  // In f64 it is as near as 16 bits of a picture and 32 of a number can tell, which is far below the tolerance.
  for (const TraceItem& item : items_of(f64)) {
    INFO(item.name, ": ", item.text);
    CHECK(item.error <= 0.02);
  }
}
