// Memory of a device: what a plan expects, what steps take, and what is said when there is no more.
#include <doctest/doctest.h>

#include "engine/accelerator.h"
#include "engine/allocator.h"
#include "engine/autograd.h"
#include "kernels/adam/adam.h"
#include "models/gan2shape/memory_plan.h"
#include "models/gan2shape/steps.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/small_world.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// The most that `work` takes, beside what is there already.
template <class Work>
std::size_t peak_of(Work work) {
  Allocator& memory = allocator(test_device());
  memory.reset_peak();
  work();
  return memory.stats().peak;
}

}  // namespace

TEST_CASE("steps on the device stay below what the memory plan expects of them" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  World w(small_config(), small_widths);
  const NetworkMemory g = w.generator.memory();
  const DiscriminatorConfig& d = w.discriminator.config();
  // What a fit has collected by then.
  const Tensor samples = Tensor::empty({w.config.collect * w.config.batch, w.config.size, w.config.size, 4});
  const auto peak_of_update = [&](auto& step, auto update) {
    Adam adam(step.parameters(), adam_options(w.config));
    return peak_of([&] { adam.step(update().gradients); });
  };
  constexpr std::int64_t part = 4;
  {
    Step2 step(w.method, w.target, w.snapshot());
    const Tensor views = w.views(), lights = w.lights();
    CHECK(peak_of_update(step, [&] { return step.update(views, lights, part); }) < step2_bytes(w.config, g, d, part, DeviceType::cuda));
  }
  Step3 step(w.method, w.target, true);
  const Tensor images = w.images(), masks = w.masks();
  const std::size_t peak = peak_of_update(step, [&] { return step.update({images, masks, {}}, part); });
  CHECK(peak < step3_bytes(w.config, g, d, part, DeviceType::cuda));
  CHECK(static_cast<double>(peak) > 0.5 * static_cast<double>(step3_bytes(w.config, g, d, part, DeviceType::cuda)));
}
