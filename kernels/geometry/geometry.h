// Pinhole geometry on pixel grids (GAN2Shape and Unsup3D renderer). Points are [B,H,W,3], depth [B,H,W,1].
#pragma once

#include "engine/tensor.h"

namespace g2s {

struct Pinhole {
  double focal = 0;       // pixels
  double cx = 0, cy = 0;  // principal point, pixels; pixel centres are at integers
};

// p = depth * ((x - cx)/focal, (y - cy)/focal, 1)
Tensor unproject(const Tensor& depth, Pinhole camera);
// Rotation matrices [B,3,3] = Rz Ry Rx from angles [B,3] (about x, y, z, radians).
Tensor rotation_matrix(const Tensor& angles);
// q = R (p - (0,0,center)) + (0,0,center) + t; p [B or 1,H,W,3], R [B,3,3], t [B,3]. `inverse` undoes it: p = R^T (q - t - c) + c.
Tensor rigid_transform(const Tensor& points, const Tensor& rotation, const Tensor& translation, double center, bool inverse = false);
// Sampling grid [B,H,W,2] in [-1,1] of projected points: u = x/z*focal + cx, normalised to 2u/(W-1) - 1.
Tensor project_to_grid(const Tensor& points, Pinhole camera);
// Unit normals of the unprojected depth: cross product of central differences (x then y), (0,0,1) on the one-pixel border, divided by
// (length + 1e-7). depth [B,H,W,1] -> [B,H,W,3].
Tensor normals_from_depth(const Tensor& depth, Pinhole camera);

}  // namespace g2s
