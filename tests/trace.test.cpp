// One iteration of each step against golden traces of the reference implementation.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>

#include "tests/support/traces.h"

using namespace g2s;
using namespace g2s::test;

namespace {

void check_all(const std::string& base) { check_trace_items(trace_items(base, DType::f64)); }

}  // namespace

TEST_CASE("the ellipsoid of every category and one iteration of fitting netD to it") { check_all(source_path("tests/golden/ellipsoid64")); }

TEST_CASE("one iteration of each step at 64 pixels") { check_all(source_path("tests/golden/synface64")); }

TEST_CASE("one iteration of each step in f32") { check_f32_trace_items(trace_items(source_path("tests/golden/synface64"), DType::f32)); }

TEST_CASE("the shared golden traces that are not in the repository") {
  const auto folder = shared_path("golden");
  if (!folder) return;
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    if (entry.path().extension() != ".json") continue;
    if (std::filesystem::exists(source_path("tests/golden/" + entry.path().filename().string()))) continue;
    CAPTURE(entry.path().filename().string());
    check_all((entry.path().parent_path() / entry.path().stem()).string());
    ++count;
  }
  CHECK(count > 0);
}

TEST_CASE("the comparison finds what is wrong") {
  const SafetensorsFile want(source_path("tests/golden/ellipsoid64.safetensors"));
  TraceOptions options;
  options.dtype = DType::f32;
  NamedTensors got = run_trace(source_path("tests/golden/ellipsoid64.json"), options);
  CHECK(compare_trace(want, got).front().error <= 1);
  auto changed = [&](const std::string& name, float factor) {
    NamedTensors out = got;
    for (auto& [key, value] : out) {
      if (key != name) continue;
      auto values = value.to_vector<float>();
      for (float& v : values) v *= factor;
      value = Tensor::from(values, value.shape());
    }
    return compare_trace(want, out).front();
  };
  for (const char* name : {"ellipsoid/image/cat", "fit/loss/total", "fit/grad/netD/network.0.weight", "fit/update/netD/network.0.weight"}) {
    CHECK(changed(name, 1.05f).name == name);
    CHECK(changed(name, 1.05f).error > 1);
    CHECK(std::isinf(changed(name, std::nanf("")).error));
  }
  got.pop_back();
  CHECK(std::isinf(compare_trace(want, got).front().error));
}
