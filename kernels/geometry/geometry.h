// Pinhole geometry on pixel grids (GAN2Shape and Unsup3D renderer). Points are [B,H,W,3], depth [B,H,W,1]. First derivatives only.
#pragma once

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

struct Pinhole {
  double focal = 0;       // pixels
  double cx = 0, cy = 0;  // principal point, pixels; pixel centres are at integers
};

// p = depth * r, r = ((x - cx)/focal, (y - cy)/focal, 1). ddepth = <dp, r>.
Tensor unproject(const Tensor& depth, Pinhole camera);
// Rotation matrices [B,3,3] = Rz Ry Rx from angles [B,3] (about x, y, z, radians). dangle = <dR, the product with that factor's derivative>.
Tensor rotation_matrix(const Tensor& angles);
// q = R (p - (0,0,center)) + (0,0,center) + t; p [B or 1,H,W,3], R [B,3,3], t [B,3]. `inverse` undoes it: p = R^T (q - t - c) + c.
// dp = R^T dq, summed over the batch where points are shared; dR = sum dq (p - c)^T, dt = sum dq over the points.
// Inverse: dq = R dp, dR = sum (q - t - c) dp^T, dt = -R sum dp.
Tensor rigid_transform(const Tensor& points, const Tensor& rotation, const Tensor& translation, double center, bool inverse = false);
// Sampling grid [B,H,W,2] in [-1,1] of projected points: u = x/z*focal + cx, normalised to g = 2u/(W-1) - 1; y alike, with h and H.
// dx = dg 2 focal / (W-1) / z, dy alike, dz = -(dx x + dy y) / z.
Tensor project_to_grid(const Tensor& points, Pinhole camera);
// Unit normals of the unprojected depth: cross product of central differences (x then y), (0,0,1) on the one-pixel border, divided by
// (length + 1e-7). depth [B,H,W,1] -> [B,H,W,3].
// With differences a and b, cross product n = a x b, s = 1 / (|n| + 1e-7), y = n s: dn = s dy - n <dy, n> s^2 / |n|, da = b x dn, db = dn x a.
// A depth gathers from the four differences that it is part of: plus or minus their gradient times its own ray.
Tensor normals_from_depth(const Tensor& depth, Pinhole camera);

}  // namespace g2s
