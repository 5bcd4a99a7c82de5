// Camera, light and shape of one object: from depth, views and light to images. Written with differentiable operators.
#pragma once

#include "engine/export.h"
#include "engine/tensor.h"
#include "kernels/geometry/geometry.h"

namespace g2s G2S_EXPORTED {

struct RendererConfig {
  std::int64_t size = 128;  // S: images are S x S
  double fov = 10;          // field of view, degrees
  double min_depth = 0.9, max_depth = 1.1;
  double border_depth = 1.04;         // 0.7 max + 0.3 min
  double rot_center_depth = 1;        // views turn about (0, 0, this)
  double xyz_rotation_range = 60;     // degrees per network unit of a view
  double xy_translation_range = 0.1;  // translation per network unit of a view
  double z_translation_range = 0;
};

// How an object stands before the camera: q = R (p - c) + c + t.
struct Pose {
  Tensor rotation;     // [B,3,3]
  Tensor translation;  // [B,3]
};

struct Light {
  Tensor ambient;    // [B,1,1,1]
  Tensor diffuse;    // [B,1,1,1]
  Tensor direction;  // [B,1,1,3], unit length
};

// Depth is [B,S,S,1], normals and points are [B,S,S,3], views [B,6] (angles about x, y, z in radians, then translations), lights [B,4].
// A canonical depth, set of points or texture of batch 1 is shared by all B poses. First derivatives, unless a function says otherwise.
class Renderer {
 public:
  // At the left and at the right edge, whose depth canonical_depth() gives away: there is no shape in them.
  static constexpr std::int64_t border_columns = 2;

  explicit Renderer(const RendererConfig& config);
  const RendererConfig& config() const { return config_; }
  const Pinhole& camera() const { return camera_; }

  // tanh(raw - its mean over the image), mapped from [-1,1] to [min_depth, max_depth]; raw is netD's output.
  // base [1,S,S,1], if defined, is added to raw after its mean is taken: the shape that raw is a change of.
  Tensor rescale_depth(const Tensor& raw, const Tensor& base = {}) const;
  // The base that a raw output of 0 makes this depth of, which lies between min_depth and max_depth.
  Tensor base_of(const Tensor& depth) const;
  // The same with its border blended: d (1 - b) + b border_depth, b = 1.02 in the two leftmost and rightmost columns, 0 elsewhere.
  Tensor canonical_depth(const Tensor& raw, const Tensor& base = {}) const;

  // Radians and translations from network units (netV's output plus the view mean, or a sample of the view prior).
  Tensor view_from_units(const Tensor& units) const;
  Pose pose(const Tensor& view) const;

  Tensor warp(const Tensor& points, const Pose& pose) const;                // canonical -> seen
  Tensor warp_depth(const Tensor& depth, const Pose& pose) const;           // `warp_canon_depth`: the canonical depth as seen (rasterised)
  Tensor forward_grid(const Tensor& depth, const Pose& pose) const;         // where canonical pixels are seen, [B,S,S,2] in [-1,1]
  Tensor inverse_grid(const Tensor& warped_depth, const Pose& pose) const;  // where seen pixels lie in the canonical image
  Tensor normals(const Tensor& depth) const;
  Tensor valid(const Tensor& warped_depth) const;  // 1 where the mesh is seen, else 0; no gradient

  // A canonical image as seen: sampled at the inverse grid, clamped to [-1,1].
  Tensor reconstruct(const Tensor& texture, const Tensor& inverse_grid) const;

  // From network units (netL's output plus the light mean): ambient and diffuse l/2 + 0.5.
  Light light(const Tensor& units) const;
  Tensor direction(const Tensor& dxy) const;                                     // [B,2] -> (dx, dy, 1) normalised, [B,1,1,3]
  Tensor diffuse_shading(const Tensor& normals, const Tensor& direction) const;  // max(0, n.d), [B,S,S,1]
  Tensor shading(const Light& light, const Tensor& diffuse_shading) const;       // ambient + diffuse * max(0, n.d)
  Tensor texture(const Tensor& albedo, const Tensor& shading) const;             // (albedo/2 + 0.5) * shading * 2 - 1

 private:
  // How far beyond [min_depth, max_depth] rasterised depth may go: half the range. Background lies at the upper end.
  double margin() const { return (config_.max_depth - config_.min_depth) / 2; }

  RendererConfig config_;
  Pinhole camera_;
};

}  // namespace g2s
