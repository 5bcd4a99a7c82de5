// The small world as the preset ffhq has it: directions turn the heads, the shape starts from a base, and there is no discriminator.
#pragma once

#include "tests/support/random_directions.h"
#include "tests/support/small_world.h"

namespace g2s::test {

struct FaceWorld {
  World small;
  PoseDirections directions;
  Method method;
  Target target;

  static Config with_directions(Config c) {
    c.views = ViewSource::directions;
    c.view_scale = 1;
    c.f1_depth = 2;
    c.lam_step2_perc = 0.7;
    return c;
  }
  explicit FaceWorld(const Config& c, DType dtype = DType::f32)
      : small(with_directions(c), small_widths, dtype), directions(random_directions(512, dtype)),
        method(small.config, small.networks, small.generator, nullptr, small.lpips, &directions), target(small.target) {
    target.rotations = target.drawn_rotations = Tensor::from<double>({0.05, -0.1}, {1, 2}).to(dtype);
    target.base = method.renderer.base_of(Random(7, "shape").uniform({1, c.size, c.size, 1}, 0.95, 1.05, dtype));
  }
  Snapshot snapshot() const { return Step1(method, target, false, Tensor()).forward().snapshot; }
  Tensor rotations() const { return Random(8, "rotations").normal({small.config.batch, 2}, 0, 0.2, small.dtype); }
  Step3::Samples samples() const { return {small.images(), small.masks(), rotations()}; }
};

}  // namespace g2s::test
