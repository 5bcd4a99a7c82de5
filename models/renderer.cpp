#include "models/renderer.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "engine/constant.h"
#include "kernels/depth_mesh/depth_mesh.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/grid_sample/grid_sample.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"

namespace g2s {
namespace {

constexpr double border_weight = 1.02;

}  // namespace

Renderer::Renderer(const RendererConfig& config) : config_(config) {
  if (config.size < 2) fail(Errc::invalid_argument, "renderer", "size must be at least 2, got ", config.size);
  if (!(config.fov > 0 && config.fov < 180)) fail(Errc::invalid_argument, "renderer", "fov must lie between 0 and 180 degrees, got ", config.fov);
  if (!(config.min_depth > 0 && config.max_depth > config.min_depth))
    fail(Errc::invalid_argument, "renderer", "needs 0 < min_depth < max_depth, got ", config.min_depth, " and ", config.max_depth);
  double centre = static_cast<double>(config.size - 1) / 2;
  camera_ = {centre / std::tan(config.fov / 2 * std::numbers::pi / 180), centre, centre};
}

Tensor Renderer::rescale_depth(const Tensor& raw, const Tensor& base) const {
  check(raw.rank() == 4 && raw.dim(3) == 1, "renderer", "raw depth must be [B,S,S,1], got ", describe(raw));
  const Tensor centred = raw - mean(raw, {1, 2, 3}, true);
  Tensor t = tanh(base ? centred + base : centred);
  return affine(t, (config_.max_depth - config_.min_depth) / 2, (config_.max_depth + config_.min_depth) / 2);
}

Tensor Renderer::base_of(const Tensor& depth) const {
  const Tensor t = affine(depth, 2 / (config_.max_depth - config_.min_depth), -(config_.max_depth + config_.min_depth) / (config_.max_depth - config_.min_depth));
  return log((t + 1.0) / (affine(t, -1, 1))) * 0.5;
}

Tensor Renderer::canonical_depth(const Tensor& raw, const Tensor& base) const {
  const Tensor depth = rescale_depth(raw, base);
  std::int64_t width = depth.dim(2);
  std::vector<double> keep(static_cast<std::size_t>(width), 1), offset(static_cast<std::size_t>(width), 0);
  for (std::int64_t x = 0; x < width; ++x) {
    if (x >= border_columns && x < width - border_columns) continue;
    keep[static_cast<std::size_t>(x)] = 1 - border_weight;
    offset[static_cast<std::size_t>(x)] = border_weight * config_.border_depth;
  }
  Shape row{1, 1, width, 1};
  return depth * constant(keep, row, depth.dtype()) + constant(offset, row, depth.dtype());
}

Tensor Renderer::view_from_units(const Tensor& units) const {
  check(units.rank() == 2 && units.dim(1) == 6, "renderer", "views must be [B,6], got ", describe(units));
  double angle = config_.xyz_rotation_range * std::numbers::pi / 180, xy = config_.xy_translation_range, z = config_.z_translation_range;
  return units * constant({angle, angle, angle, xy, xy, z}, {1, 6}, units.dtype());
}

Pose Renderer::pose(const Tensor& view) const {
  check(view.rank() == 2 && view.dim(1) == 6, "renderer", "views must be [B,6], got ", describe(view));
  return {rotation_matrix(slice(view, 1, 0, 3)), slice(view, 1, 3, 6)};
}

Tensor Renderer::warp(const Tensor& points, const Pose& pose) const {
  return rigid_transform(points, pose.rotation, pose.translation, config_.rot_center_depth);
}

Tensor Renderer::warp_depth(const Tensor& depth, const Pose& pose) const {
  DepthMeshOptions options;
  options.camera = camera_;
  options.clamp_lo = config_.min_depth - margin();
  options.clamp_hi = config_.max_depth + margin();
  return rasterize_depth_mesh(warp(unproject(depth, camera_), pose), options);
}

Tensor Renderer::forward_grid(const Tensor& depth, const Pose& pose) const {
  return project_to_grid(warp(unproject(depth, camera_), pose), camera_);
}

Tensor Renderer::inverse_grid(const Tensor& warped_depth, const Pose& pose) const {
  const Tensor seen = unproject(warped_depth, camera_);
  return project_to_grid(rigid_transform(seen, pose.rotation, pose.translation, config_.rot_center_depth, true), camera_);
}

Tensor Renderer::normals(const Tensor& depth) const { return normals_from_depth(depth, camera_); }

Tensor Renderer::valid(const Tensor& warped_depth) const {
  double bound = config_.max_depth + margin();
  if (warped_depth.dtype() == DType::f32) bound = static_cast<float>(bound);  // what the rasteriser clamps to
  return less(warped_depth, bound);
}

Tensor Renderer::reconstruct(const Tensor& texture, const Tensor& inverse_grid) const {
  return clamp(grid_sample(texture, inverse_grid), -1, 1);
}

Light Renderer::light(const Tensor& units) const {
  check(units.rank() == 2 && units.dim(1) == 4, "renderer", "lights must be [B,4], got ", describe(units));
  Shape one{units.dim(0), 1, 1, 1};
  return {affine(slice(units, 1, 0, 1), 0.5, 0.5).reshape(one), affine(slice(units, 1, 1, 2), 0.5, 0.5).reshape(one), direction(slice(units, 1, 2, 4))};
}

Tensor Renderer::direction(const Tensor& dxy) const {
  check(dxy.rank() == 2 && dxy.dim(1) == 2, "renderer", "light directions must be [B,2], got ", describe(dxy));
  Tensor d = pad(dxy, 1, 0, 1, 1);
  return (d / sqrt(sum(square(d), {1}, true))).reshape({dxy.dim(0), 1, 1, 3});
}

// Not relu: at a grazing angle of exactly 90 degrees the gradient passes, as through the reference's clamp.
Tensor Renderer::diffuse_shading(const Tensor& normals, const Tensor& direction) const {
  return clamp(sum(normals * direction, {3}, true), 0);
}

Tensor Renderer::shading(const Light& light, const Tensor& diffuse_shading) const { return light.ambient + light.diffuse * diffuse_shading; }

Tensor Renderer::texture(const Tensor& albedo, const Tensor& shading) const { return affine(affine(albedo, 0.5, 0.5) * shading, 2, -1); }

}  // namespace g2s
