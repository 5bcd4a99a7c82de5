#include "models/gan2shape/pose_directions.h"

#include <vector>

#include "engine/autograd.h"
#include "engine/constant.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"

namespace g2s {
namespace {

// Yaw and pitch of landmarks become rotations about y and x. The renderer's x goes right, y down, z away from the camera.
constexpr double yaw_sign = -1, pitch_sign = 1;
// The eyes in FFHQ's frame, in parts of its side. The point between them lies behind the bridge of the nose.
constexpr double eye_row = 0.474, eye_columns[] = {0.38, 0.62}, eye_radius = 0.04;

// [yaw, pitch] in degrees <-> [about x, about y] in units.
Tensor swapped(const Tensor& pair, double first, double second) {
  return concat({slice(pair, 1, 1, 2) * first, slice(pair, 1, 0, 1) * second}, 1);
}

// Whose sum is 1.
Tensor eye_weights(std::int64_t s, DType dtype) {
  std::vector<double> weight(static_cast<std::size_t>(s * s), 0.0);
  double total = 0;
  for (std::int64_t y = 0; y < s; ++y)
    for (std::int64_t x = 0; x < s; ++x) {
      const double dy = (static_cast<double>(y) + 0.5) / static_cast<double>(s) - eye_row;
      for (double column : eye_columns) {
        const double dx = (static_cast<double>(x) + 0.5) / static_cast<double>(s) - column;
        if (dx * dx + dy * dy > eye_radius * eye_radius) continue;
        weight[static_cast<std::size_t>(y * s + x)] = 1;
        total += 1;
      }
    }
  for (double& w : weight) w /= total;
  return constant(weight, {1, s, s, 1}, dtype);
}

}  // namespace

PoseDirections PoseDirections::load(const SafetensorsFile& file) {
  PoseDirections out;
  const std::int64_t dim = file.get("centre").dim(-1);
  auto read = [&](const char* name, const Shape& shape) {
    const Tensor t = file.get(name);
    if (t.shape() != shape) fail(Errc::format, file.path(), "tensor ", name, " has shape ", t.shape(), ", expected ", shape);
    return t.to(DType::f32).clone().to(default_device());
  };
  out.centre = read("centre", {1, dim});
  out.predictor = read("predictor", {2, dim});
  out.direction = read("direction", {2, dim});
  out.offset = read("offset", {1, 2});
  return out;
}

Tensor rotations_from_pose(const Tensor& pose, const PoseDirections& d, const RendererConfig& c) {
  const Tensor turned = pose - d.offset;
  return swapped(turned, pitch_sign / c.xyz_rotation_range, yaw_sign / c.xyz_rotation_range);
}

Tensor turned_offset(const PoseDirections& d, const Tensor& from, const Tensor& to, const Tensor& turn, const RendererConfig& c) {
  const Tensor asked = turn ? matmul(to - from, turn) : to - from;
  const Tensor pose = swapped(asked, yaw_sign * c.xyz_rotation_range, pitch_sign * c.xyz_rotation_range);
  return matmul(pose, d.direction);
}

Tensor without_turn(const PoseDirections& d, const Tensor& offset) {
  return offset - matmul(matmul(offset, d.predictor, false, true), d.direction);
}

Tensor aligned_views(const Renderer& renderer, const Tensor& depth, const Tensor& rotations) {
  NoGrad no_grad;
  const RendererConfig& c = renderer.config();
  const Tensor point = sum(unproject(depth, renderer.camera()) * eye_weights(depth.dim(1), depth.dtype()), {1, 2}).reshape({1, 1, 3});
  const Tensor from_centre = point - constant({0, 0, c.rot_center_depth}, {1, 1, 3}, depth.dtype());
  const std::int64_t b = rotations.dim(0);
  const Tensor turned_only = concat({rotations, Tensor::zeros({b, 4}, rotations.dtype())}, 1);
  const Tensor rotation = renderer.pose(renderer.view_from_units(turned_only)).rotation;
  const Tensor moved = sum(rotation * from_centre, {2});  // [B,3]
  const Tensor back = (from_centre.reshape({1, 3}) - moved) * (1 / c.xy_translation_range);
  return concat({rotations, Tensor::zeros({b, 1}, rotations.dtype()), slice(back, 1, 0, 2), Tensor::zeros({b, 1}, rotations.dtype())}, 1);
}

}  // namespace g2s
