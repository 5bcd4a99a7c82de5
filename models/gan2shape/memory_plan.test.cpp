#include "models/gan2shape/memory_plan.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "engine/allocator.h"
#include "engine/autograd.h"
#include "models/gan2shape/steps.h"
#include "tests/support/check.h"
#include "tests/support/face_world.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("step 2 in parts gives the losses and gradients of the whole batch") {
  World w(small_config(), small_widths);
  Step2 step(w.method, w.target, w.snapshot());
  Update whole = step.update(w.views(), w.lights(), 5);
  CHECK(whole.losses.total.item() == step.forward(w.views(), w.lights()).losses.total.item());
  for (std::int64_t part : {1, 2, 4}) {
    Update parted = step.update(w.views(), w.lights(), part);
    CHECK(rel_error(parted.gradients, whole.gradients) < 1e-5);
    check_losses(parted.losses, whole.losses);
  }
}

// Gradients in f64: another size of batch rounds differently, and in f32 that alone turns them for values beside a kink (the larger of two that are
// pooled, the sign of a difference): 5e-4 of the whole with these images.
TEST_CASE("step 3 in parts gives the losses and gradients of the whole batch") {
  for (DType dtype : {DType::f64, DType::f32}) {
    for (bool flip : {false, true}) {
      World w(small_config(), small_widths, dtype);
      Step3 step(w.method, w.target, flip);
      Step3::PartedUpdate whole = step.update({w.images(), w.masks(), {}}, 6);
      for (std::int64_t part : {1, 4}) {
        Step3::PartedUpdate parted = step.update({w.images(), w.masks(), {}}, part);
        if (dtype == DType::f64) CHECK(rel_error(parted.gradients, whole.gradients) < 1e-9);
        check_losses(parted.batch, whole.batch, dtype == DType::f64 ? 1e-10 : 1e-5);
        check_losses(parted.input, whole.input, dtype == DType::f64 ? 1e-10 : 1e-5);
      }
    }
  }
}

TEST_CASE("a memory plan takes whole batches, parts, or says what it needs") {
  const NetworkMemory g = generator_memory(World::generator_of({512, 512, 512, 512, 256, 128}));
  const DiscriminatorConfig d = World::discriminator_of({512, 512, 512, 512, 256, 128});
  const Config face = preset("face");
  MemoryPlan whole = plan_memory(face, g, d, 0);
  CHECK(whole.step2 == 16);
  CHECK(whole.step3 == 17);
  const std::size_t least = std::max(step2_bytes(face, g, d, 1), step3_bytes(face, g, d, 1));
  MemoryPlan parts = plan_memory(face, g, d, step2_bytes(face, g, d, 5));
  CHECK(parts.step2 == 5);
  CHECK(step3_bytes(face, g, d, parts.step3) <= step2_bytes(face, g, d, 5));
  CHECK(plan_memory(face, g, d, least).step2 >= 1);
  CHECK_THROWS_WITH_AS(plan_memory(face, g, d, 100 << 20), doctest::Contains("memory_limit: 100M is less than the"), Error);
}

TEST_CASE("a memory plan without a discriminator counts LPIPS in step 2") {
  const std::size_t others = allocator(Device{}).stats().in_use;  // what earlier tests keep
  const FaceWorld w(small_config());
  const NetworkMemory g = w.small.generator.memory();
  const DiscriminatorConfig none;
  Allocator& memory = allocator(Device{});
  const Step2 step(w.method, w.target, w.snapshot());
  auto peak = [&](std::int64_t part) {
    memory.reset_peak();
    step.update(w.small.views(), w.small.lights(), part);
    return memory.stats().peak - others;
  };
  peak(5), peak(1);  // the weights in all forms that the kernels want
  const std::size_t one = peak(1), whole = peak(5);
  CHECK(one < step2_bytes(w.small.config, g, none, 1));
  CHECK(whole < step2_bytes(w.small.config, g, none, 5));
  // What pictures take, without the weights, which are most of it in a world as small as this.
  const std::size_t counted = step2_bytes(w.small.config, g, none, 5) - step2_bytes(w.small.config, g, none, 1);
  INFO("four pictures took ", whole - one, " of ", counted, " bytes");
  CHECK(whole > one);
  CHECK(whole - one < counted);
  CHECK(counted < 3 * (whole - one));
  CHECK(plan_memory(w.small.config, g, none, step2_bytes(w.small.config, g, none, 3)).step2 == 3);
}

TEST_CASE("steps of the face preset stay below the memory limit [long]") {
  World w(preset("face"), {512, 512, 512, 512, 256, 128});
  const NetworkMemory g = w.generator.memory();
  const DiscriminatorConfig& d = w.discriminator.config();
  const std::size_t limit = step2_bytes(w.config, g, d, 4);
  const MemoryPlan plan = plan_memory(w.config, g, d, limit);
  REQUIRE(plan.step2 == 4);
  Allocator& memory = allocator(Device{});
  memory.reset_peak();
  Step2(w.method, w.target, w.snapshot()).update(w.views(), w.lights(), plan.step2);
  CHECK(memory.stats().peak < limit);
  memory.reset_peak();
  Step3(w.method, w.target, true).update({w.images(), w.masks(), {}}, plan.step3);
  CHECK(memory.stats().peak < limit);
}
