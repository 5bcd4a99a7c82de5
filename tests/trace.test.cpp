// One iteration of each step against golden traces of the reference implementation.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>

#include "models/gan2shape/trace.h"
#include "tests/support/check.h"
#include "tests/support/trace_compare.h"

using namespace g2s;
using namespace g2s::test;

namespace {

std::vector<TraceItem> run(const std::string& base, DType dtype) {
  TraceOptions options;
  options.lpips = source_path("assets/lpips_vgg.safetensors");
  options.dtype = dtype;
  return compare_trace(SafetensorsFile(base + ".safetensors"), run_trace(base + ".json", options));
}

void check_all(const std::string& base) {
  const auto items = run(base, DType::f64);
  REQUIRE(items.size() > 100);
  for (const TraceItem& item : items) {
    INFO(item.name, ": ", item.text);
    CHECK(item.error <= 1);
  }
}

}  // namespace

TEST_CASE("the ellipsoid of every category and one iteration of fitting netD to it") { check_all(source_path("tests/golden/ellipsoid64")); }

TEST_CASE("one iteration of each step at 64 pixels") { check_all(source_path("tests/golden/synface64")); }

// As a fit computes it. A unit whose input is within rounding of the kink of its ReLU may fall on either side of it, and where a picture is
// flat, as the heads' background is, Winograd's convolution rounds equal features differently, so that max pooling hands a gradient to
// another of them (LPIPS's gradient moves by 6 percent of its norm, by 2e-6 once the picture has a little noise). That takes single
// gradients beyond their tolerance, and the sign of Adam's first step, but no loss, no other picture and not many numbers.
TEST_CASE("one iteration of each step in f32") {
  const auto items = run(source_path("tests/golden/synface64"), DType::f32);
  std::size_t beyond = 0;
  for (const TraceItem& item : items) {
    INFO(item.name, ": ", item.text);
    if (item.error > 1) ++beyond;
    CHECK(item.error <= (may_flip(item) ? 40 : 1));
  }
  CHECK(beyond <= items.size() / 30);
}

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
