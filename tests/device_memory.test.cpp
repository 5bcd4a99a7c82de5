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
  const GeneratorConfig& g = w.generator.config();
  const DiscriminatorConfig& d = w.discriminator.config();
  // What a fit has collected by then.
  const Tensor samples = Tensor::empty({w.config.collect * w.config.batch, w.config.size, w.config.size, 4});
  const auto peak_of_updates = [&](auto& step, auto update) {
    Adam adam(step.parameters(), adam_options(w.config));
    return peak_of([&] {
      for (int i = 0; i < 2; ++i) adam.step(update().gradients);
    });
  };
  for (std::int64_t part : {1, 4}) {
    CAPTURE(part);
    Step2 step2(w.context, w.target, w.snapshot());
    const std::size_t second = peak_of_updates(step2, [&] { return step2.update(w.views(), w.lights(), part); });
    CHECK(second < step2_bytes(w.config, g, d, part, DeviceType::cuda));
    Step3 step3(w.context, w.target, true);
    const std::size_t third = peak_of_updates(step3, [&] { return step3.update(w.images(), w.masks(), part); });
    CHECK(third < step3_bytes(w.config, g, d, part, DeviceType::cuda));
    CHECK(third > 0.8 * step3_bytes(w.config, g, d, part, DeviceType::cuda));
  }
}
