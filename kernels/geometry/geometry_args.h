// Arguments of the geometry kernels. T is float or double. Points are [batch,height,width,3].
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

template <class T>
struct UnprojectArgs {
  std::int64_t batch, height, width;
  T inv_focal, cx, cy;  // 1/pixels, pixels, pixels
  const T* depth;       // [batch,height,width]: input of the forward kernel
  T* points;            // output of the forward kernel
  const T* dpoints;     // input of the backward kernel
  T* ddepth;            // output of the backward kernel
};

template <class T>
struct RotationArgs {
  std::int64_t batch;
  const T* angles;  // [batch,3], radians about x, y, z
  T* matrices;      // [batch,3,3]: output of the forward kernel
  const T* dmatrices;
  T* dangles;       // [batch,3]: output of the backward kernel
};

template <class T>
struct RigidArgs {
  std::int64_t batch;         // of the pose
  std::int64_t points_batch;  // batch, or 1: the points are shared
  std::int64_t count;         // points per image
  T center;                   // z of the centre of rotation
  bool inverse;
  const T* points;       // [points_batch,count,3]
  const T* rotation;     // [batch,3,3]
  const T* translation;  // [batch,3]
  T* out;                // [batch,count,3]: output of the forward kernel
  const T* dout;
  T* dpoints;            // [points_batch,count,3], or null: not wanted
  double* partial;       // [batch,blocks,12]: gradients of rotation (9) and translation (3) per block of rigid_block points, or null
  T* drotation;          // [batch,3,3], where there is `partial`
  T* dtranslation;       // [batch,3]
};

// Points per partial sum of the pose's gradient.
constexpr std::int64_t rigid_block = 2048;
inline constexpr std::int64_t rigid_blocks(std::int64_t count) { return (count + rigid_block - 1) / rigid_block; }

template <class T>
struct ProjectArgs {
  std::int64_t count;             // points in all
  T scale_x, offset_x;            // grid x = X/Z * scale_x + offset_x
  T scale_y, offset_y;
  const T* points;  // [count,3]
  T* grid;          // [count,2]: output of the forward kernel
  const T* dgrid;
  T* dpoints;       // output of the backward kernel
};

template <class T>
struct NormalsArgs {
  std::int64_t batch, height, width;
  T inv_focal, cx, cy;
  T epsilon;        // added to the length of the cross product
  const T* depth;   // [batch,height,width]
  T* normals;       // [batch,height,width,3]: output of the forward kernel
  const T* dnormals;
  T* tangents;      // scratch of the CPU's backward kernel, 6 planes of [batch,height,width]: gradients of the two central differences
  T* ddepth;        // output of the backward kernel
};

G2S_REAL_KERNEL(unproject_kernel, UnprojectArgs)
G2S_REAL_KERNEL(unproject_backward_kernel, UnprojectArgs)
G2S_REAL_KERNEL(rotation_kernel, RotationArgs)
G2S_REAL_KERNEL(rotation_backward_kernel, RotationArgs)
G2S_REAL_KERNEL(rigid_kernel, RigidArgs)
G2S_REAL_KERNEL(rigid_backward_kernel, RigidArgs)
G2S_REAL_KERNEL(project_kernel, ProjectArgs)
G2S_REAL_KERNEL(project_backward_kernel, ProjectArgs)
G2S_REAL_KERNEL(normals_kernel, NormalsArgs)
G2S_REAL_KERNEL(normals_backward_kernel, NormalsArgs)

}  // namespace g2s::kernels
