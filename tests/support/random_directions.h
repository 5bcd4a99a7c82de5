// Directions that turn the heads of a generator with random weights, as far as their own predictor sees it.
#pragma once

#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "kernels/random/random.h"
#include "models/gan2shape/pose_directions.h"

namespace g2s::test {

// A step along a direction changes the pose by a degree: predictor * direction^T is the identity, the two being different otherwise.
inline PoseDirections random_directions(std::int64_t dim, DType dtype) {
  Random random(0, "directions");
  PoseDirections d;
  d.centre = random.normal({1, dim}, 0, 0.5, DType::f64);
  d.predictor = random.normal({2, dim}, 0, 1, DType::f64);
  d.offset = Tensor::from<double>({2.5, -4}, {1, 2});
  const Tensor rough = d.predictor + random.normal({2, dim}, 0, 0.5, DType::f64), seen = matmul(d.predictor, rough, false, true);
  const double* m = seen.data<double>();
  const double det = m[0] * m[3] - m[1] * m[2];
  // The transpose of the inverse.
  d.direction = matmul(Tensor::from<double>({m[3] / det, -m[2] / det, -m[1] / det, m[0] / det}, {2, 2}), rough);
  for (Tensor* t : {&d.centre, &d.predictor, &d.offset, &d.direction}) *t = t->to(dtype);
  return d;
}

}  // namespace g2s::test
