// The method on a device: where G2S_TEST_DEVICE names one, the emulated CUDA device in every run of the tests.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "engine/accelerator.h"
#include "engine/autograd.h"
#include "engine/cuda/launches.h"
#include "kernels/adam/adam.h"
#include "models/gan2shape/steps.h"
#include "models/gan2shape/trace.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/small_world.h"
#include "tests/support/trace_compare.h"

using namespace g2s;
using namespace g2s::test;
using nlohmann::json;

namespace {

// Every kernel that a trace launches, and how often, against the committed list: a kernel that is missing there has been replaced by something
// else without anybody noticing. G2S_WRITE_LAUNCHES=1 rewrites the list.
void check_launches(const std::string& name) {
  const std::string path = source_path("tests/golden/launches.json");
  json all;
  if (std::ifstream in(path); in) all = json::parse(in);
  const json now = cuda::launches();
  if (std::getenv("G2S_WRITE_LAUNCHES")) {
    all[name] = now;
    std::ofstream(path) << all.dump(1) << '\n';
  }
  REQUIRE(all.contains(name));
  for (const auto& [kernel, count] : all[name].items()) {
    INFO(kernel);
    CHECK(now.value(kernel, 0) == count.get<int>());
  }
  for (const auto& [kernel, count] : now.items()) CHECK_MESSAGE(all[name].contains(kernel), kernel, " is not in ", path);
}

void check_trace(const std::string& name) {
  const std::string base = source_path("tests/golden/" + name);
  TraceOptions options;
  options.lpips = source_path("assets/lpips_vgg.safetensors");
  options.device = test_device();
  cuda::forget_launches();
  const auto items = compare_trace(SafetensorsFile(base + ".safetensors"), run_trace(base + ".json", options));
  REQUIRE(items.size() > 100);
  for (const TraceItem& item : items) {
    INFO(item.name, ": ", item.text);
    CHECK(item.error <= 1);
  }
  check_launches(name);
}

}  // namespace

TEST_CASE("the golden trace of the ellipsoids on the device" * doctest::skip(no_test_device())) { check_trace("ellipsoid64"); }

TEST_CASE("the golden trace of the steps at 64 pixels on the device" * doctest::skip(no_test_device())) { check_trace("synface64"); }

// A step's iteration, optimiser included, neither waits for the device nor takes memory from the driver once it has run before.
TEST_CASE("an iteration of each step waits for nothing, on the device" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  World w(small_config(), small_widths);
  Allocator& memory = allocator(test_device());
  auto check_iteration = [&](const char* step, const std::vector<Tensor>& parameters, const std::function<Tensor()>& total) {
    INFO(step);
    Adam adam(parameters, adam_options(w.config));
    auto iterate = [&] { adam.step(grad({total()}, adam.parameters())); };
    iterate();
    const std::int64_t waits = host_waits();
    const std::size_t reserved = memory.stats().reserved;
    iterate();
    CHECK(host_waits() == waits);
    CHECK(memory.stats().reserved == reserved);
  };
  Step1 step1(w.context, w.target, true, Tensor());
  check_iteration("step 1", step1.parameters(), [&] { return step1.forward().losses.total; });
  Step2 step2(w.context, w.target, step1.forward().snapshot);
  const Tensor views = w.views(), lights = w.lights(), images = w.images(), masks = w.masks();
  check_iteration("step 2", step2.parameters(), [&] { return step2.forward(views, lights).losses.total; });
  Step3 step3(w.context, w.target, true);
  check_iteration("step 3", step3.parameters(), [&] { return step3.forward(images, masks).batch.total; });
}
