// --precision on a device: an iteration of step 2 in bf16 and tf32 beside one in f32.
#include <doctest/doctest.h>

#include <cmath>

#include "engine/autograd.h"
#include "engine/precision.h"
#include "models/gan2shape/steps.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/small_world.h"

using namespace g2s;
using namespace g2s::test;

// tf32 rounds to 11 bits, bf16 to 8: the second is 8 times as far from f32, and both are as near as a stack of some 20 convolutions lets them.
TEST_CASE("precision on the device: an iteration of step 2 is close to that in f32" * doctest::skip(no_test_device())) {
  const DefaultDevice guard(test_device());
  World w(small_config(), small_widths);
  const Snapshot snapshot = w.snapshot();
  const Tensor views = w.views(), lights = w.lights();
  const auto update = [&](Precision precision) {
    const WithPrecision with(precision);
    Step2 step(w.method, w.target, snapshot);
    return step.update(views, lights, w.config.batch);
  };
  const Update exact = update(Precision::f32), tf32 = update(Precision::tf32), bf16 = update(Precision::bf16);
  const double loss = exact.losses.total.item();
  const double tf32_loss = std::abs(tf32.losses.total.item() / loss - 1), bf16_loss = std::abs(bf16.losses.total.item() / loss - 1);
  const double tf32_gradient = rel_error(tf32.gradients, exact.gradients), bf16_gradient = rel_error(bf16.gradients, exact.gradients);
  INFO("losses ", tf32_loss, " and ", bf16_loss, ", gradients ", tf32_gradient, " and ", bf16_gradient);
  CHECK(tf32_loss < 3e-4);
  CHECK(bf16_loss < 4e-3);
  CHECK(tf32_gradient > 1e-5);
  CHECK(tf32_gradient < 0.02);
  CHECK(bf16_gradient > 2 * tf32_gradient);
  CHECK(bf16_gradient < 0.15);
}
