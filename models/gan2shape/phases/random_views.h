// The views and lights that step 2 draws at random, where an iteration's work reads them.
#pragma once

#include "kernels/random/random.h"
#include "models/gan2shape/config.h"

namespace g2s {

struct RandomViews {
  Tensor views, lights;  // [B,6], [B,3], see Step2::render

  explicit RandomViews(const Config& config);
  // New ones in place, drawn on the CPU: the same numbers for every device.
  void draw(const Config& config, Random& random);
};

}  // namespace g2s
