// The shape that a fit starts from: an ellipsoid placed by the object's mask.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"
#include "models/encoder_decoder.h"
#include "models/gan2shape/config.h"
#include "models/renderer.h"

namespace g2s G2S_EXPORTED {

// mask [1,S,S,1] in [0,1], object where >= 0.7 -> depth [1,S,S,1] of `dtype`: a cap of the configured sphere between prior_near and prior_far,
// prior_far outside. The categories face, synface, car and church change the mask's bounding box; any other leaves it.
// Throws Error(invalid_argument) if the object has no extent.
Tensor ellipsoid_depth(const Tensor& mask, const Config& config, DType dtype = DType::f32);

// Mean squared difference between netD's depth of an image, without the border blend, and its ellipsoid.
Tensor prior_loss(const Renderer& renderer, const EDDeconv& netD, const Tensor& image, const Tensor& ellipsoid);

struct PriorSample {
  Tensor image;      // [1,S,S,3] in [-1,1]
  Tensor ellipsoid;  // [1,S,S,1]
};
// Teaches netD the ellipsoids of several images, one drawn at random an iteration, with the method's Adam: what a fit of another image can
// start from (FitOptions::depth_prior). `progress` is called after every iteration with its number and loss.
void fit_depth_prior(EDDeconv& netD, const Config& config, const std::vector<PriorSample>& samples, int iterations, std::uint64_t seed,
                     const std::function<void(int, double)>& progress);

}  // namespace g2s
