// The shape that a fit starts from: an ellipsoid placed by the object's mask.
#pragma once

#include <string>

#include "engine/tensor.h"
#include "models/gan2shape/config.h"

namespace g2s {

struct EllipsoidOptions {
  std::string category;  // face, synface, car and church change the mask's bounding box; any other leaves it
  double near = 0.91, far = 1.02;
  double sphere_radius = 0.4;
};

// mask [1,S,S,1] in [0,1], object where >= 0.7 -> depth [1,S,S,1] of `dtype`: a cap of a sphere between near and far, far outside.
// Throws Error(invalid_argument) if the object has no extent.
Tensor ellipsoid_depth(const Tensor& mask, const EllipsoidOptions& options, DType dtype = DType::f32);
Tensor ellipsoid_depth(const Tensor& mask, const Config& config);

}  // namespace g2s
