#include "models/gan2shape/texture_bake.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/grid_sample/grid_sample.h"
#include "kernels/shape/shape.h"

namespace g2s {
namespace {

// Cosine between surface normal and line of sight, from which on the photograph begins to be used, and from which on it is used alone.
constexpr double grazing = 0.15, frontal = 0.45;
// How far behind the nearest surface a point may lie and still count as seen; depth units, the whole range is 0.2.
constexpr double seen_margin = 0.006;

Tensor smoothstep(const Tensor& x, double from, double to) {
  Tensor t = clamp(affine(x, 1 / (to - from), -from / (to - from)), 0, 1);
  return square(t) * (3 - 2 * t);
}

// Cosine between the surface's normal and the direction to the camera, per texel.
Tensor facing(const Tensor& points) {
  std::int64_t size = points.dim(1);
  Tensor out = Tensor::zeros({1, size, size, 1});
  const float* p = points.data<float>();
  float* y = out.mutable_data<float>();
  for (std::int64_t i = 0; i < size; ++i)
    for (std::int64_t j = 0; j < size; ++j) {
      std::int64_t i0 = std::max<std::int64_t>(i - 1, 0), i1 = std::min(i + 1, size - 1);
      std::int64_t j0 = std::max<std::int64_t>(j - 1, 0), j1 = std::min(j + 1, size - 1);
      double a[3], b[3], q[3], n = 0, dot = 0, length = 0;
      for (int k = 0; k < 3; ++k) {
        a[k] = p[(i * size + j1) * 3 + k] - p[(i * size + j0) * 3 + k];
        b[k] = p[(i1 * size + j) * 3 + k] - p[(i0 * size + j) * 3 + k];
        q[k] = p[(i * size + j) * 3 + k];
      }
      double c[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
      for (int k = 0; k < 3; ++k) {
        n += c[k] * c[k];
        dot += c[k] * q[k];
        length += q[k] * q[k];
      }
      // x right times y down points away from the camera, as the line of sight does.
      y[i * size + j] = n > 0 ? static_cast<float>(dot / std::sqrt(n * length)) : 0;
    }
  return out;
}

// The same positions on an image with N pixels a side that shows the field of the S x S one: pixel edges coincide, not centres, so
// X = (x + 0.5) N / S - 0.5, which in [-1,1] is a scaling about 0.
Tensor to_photo(const Tensor& grid, double s, double n) { return grid * ((s - 1) * n / (s * (n - 1))); }

}  // namespace

Tensor texel_grid(std::int64_t size) {
  std::vector<float> grid(static_cast<std::size_t>(size * size * 2));
  for (std::int64_t y = 0; y < size; ++y)
    for (std::int64_t x = 0; x < size; ++x) {
      std::size_t at = static_cast<std::size_t>((y * size + x) * 2);
      grid[at] = static_cast<float>(2.0 * static_cast<double>(x) / static_cast<double>(size - 1) - 1);
      grid[at + 1] = static_cast<float>(2.0 * static_cast<double>(y) / static_cast<double>(size - 1) - 1);
    }
  return Tensor::from(grid, {1, size, size, 2});
}

Tensor bake_texture(const FitResult& fit, const Renderer& renderer, const Tensor& photo, std::int64_t size) {
  NoGrad no_grad;
  const std::int64_t small = fit.canonical.depth.dim(1);
  const Tensor texels = texel_grid(size);
  const double step = static_cast<double>(size - 1) / static_cast<double>(small - 1);
  const Pinhole camera{renderer.camera().focal * step, renderer.camera().cx * step, renderer.camera().cy * step};
  const Tensor seen_from_input = renderer.warp(unproject(grid_sample(fit.canonical.depth, texels), camera), renderer.pose(fit.view));
  const Tensor grid = project_to_grid(seen_from_input, camera);
  const Tensor behind = slice(seen_from_input, 3, 2, 3) - grid_sample(fit.depth, grid);
  const Tensor visible = 1 - smoothstep(behind, seen_margin / 2, seen_margin);
  const Tensor mask = smoothstep(grid_sample(fit.target.mask, grid), 0.5, 0.95);
  const Tensor weight = visible * smoothstep(facing(seen_from_input), grazing, frontal) * mask;
  const Tensor sharp = grid_sample(photo, to_photo(grid, static_cast<double>(small), static_cast<double>(photo.dim(1))));
  const Tensor model = grid_sample(fit.texture, texels);
  return clamp(model + weight * (sharp - model), -1, 1);
}

}  // namespace g2s
