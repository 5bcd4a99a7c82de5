// One thread a point or pixel. Sums for the gradient of a pose run over blocks of points, whose sums are added in their order.
#include <cmath>

#include "engine/cuda/launch.cuh"
#include "kernels/geometry/geometry_args.h"

namespace g2s::kernels {
namespace {

using std::int64_t;

// The ray through pixel number `at` along one axis, at depth 1.
template <class T>
__device__ inline T ray(int64_t at, T centre, T inv_focal) {
  return (static_cast<T>(at) - centre) * inv_focal;
}

template <class T>
void unproject(const UnprojectArgs<T>& a) {
  cuda::each("unproject", a.batch * a.height * a.width, [a] __device__(int64_t i) {
    const int64_t row = i / a.width, x = i - row * a.width;
    const T d = a.depth[i];
    a.points[3 * i] = d * ray(x, a.cx, a.inv_focal);
    a.points[3 * i + 1] = d * ray(row % a.height, a.cy, a.inv_focal);
    a.points[3 * i + 2] = d;
  });
}

template <class T>
void unproject_backward(const UnprojectArgs<T>& a) {
  cuda::each("unproject_backward", a.batch * a.height * a.width, [a] __device__(int64_t i) {
    const int64_t row = i / a.width, x = i - row * a.width;
    const T* g = a.dpoints + 3 * i;
    a.ddepth[i] = g[0] * ray(x, a.cx, a.inv_focal) + g[1] * ray(row % a.height, a.cy, a.inv_focal) + g[2];
  });
}

// Cosine and sine of the angle about an axis, and what stands for 1: the derivative by the angle has -sine, cosine and 0 in their places.
struct Turn {
  double c, s, one;
};

template <class T>
__device__ inline Turn turn_by(T angle, bool derived) {
  const double c = std::cos(static_cast<double>(angle)), s = std::sin(static_cast<double>(angle));
  return derived ? Turn{-s, c, 0} : Turn{c, s, 1};
}

struct Rotation {
  double m[9];
};

// Rz Ry Rx
__device__ inline Rotation product(const Turn& x, const Turn& y, const Turn& z) {
  return {{z.c * y.c * x.one, z.c * y.s * x.s - z.s * y.one * x.c, z.c * y.s * x.c + z.s * y.one * x.s,  //
           z.s * y.c * x.one, z.s * y.s * x.s + z.c * y.one * x.c, z.s * y.s * x.c - z.c * y.one * x.s,  //
           -z.one * y.s * x.one, z.one * y.c * x.s, z.one * y.c * x.c}};
}

template <class T>
void rotation(const RotationArgs<T>& a) {
  cuda::each("rotation", a.batch, [a] __device__(int64_t b) {
    const T* angles = a.angles + 3 * b;
    const Rotation r = product(turn_by(angles[0], false), turn_by(angles[1], false), turn_by(angles[2], false));
    for (int i = 0; i < 9; ++i) a.matrices[9 * b + i] = static_cast<T>(r.m[i]);
  });
}

template <class T>
void rotation_backward(const RotationArgs<T>& a) {
  cuda::each("rotation_backward", 3 * a.batch, [a] __device__(int64_t i) {
    const int64_t b = i / 3, axis = i - 3 * b;
    const T* angles = a.angles + 3 * b;
    const Rotation r = product(turn_by(angles[0], axis == 0), turn_by(angles[1], axis == 1), turn_by(angles[2], axis == 2));
    double total = 0;
    for (int k = 0; k < 9; ++k) total += r.m[k] * static_cast<double>(a.dmatrices[9 * b + k]);
    a.dangles[i] = static_cast<T>(total);
  });
}

// out = m (p - before) + after; for the inverse, m is the transposed rotation and `before` holds the translation.
template <class T>
struct Affine {
  T m[9], before[3], after[3];
};

template <class T>
__device__ inline Affine<T> affine_of(const RigidArgs<T>& a, int64_t b) {
  const T* r = a.rotation + 9 * b;
  const T* t = a.translation + 3 * b;
  Affine<T> f;
  for (int i = 0; i < 9; ++i) f.m[i] = r[a.inverse ? i % 3 * 3 + i / 3 : i];
  for (int i = 0; i < 3; ++i) {
    const T c = i == 2 ? a.center : T(0);
    f.before[i] = a.inverse ? c + t[i] : c;
    f.after[i] = a.inverse ? c : c + t[i];
  }
  return f;
}

template <class T>
void rigid(const RigidArgs<T>& a) {
  cuda::each("rigid", a.batch * a.count, [a] __device__(int64_t i) {
    const int64_t b = i / a.count;
    const Affine<T> f = affine_of(a, b);
    const T* p = a.points + 3 * (a.points_batch == 1 ? i - b * a.count : i);
    const T x = p[0] - f.before[0], y = p[1] - f.before[1], z = p[2] - f.before[2];
    for (int k = 0; k < 3; ++k) a.out[3 * i + k] = f.m[3 * k] * x + f.m[3 * k + 1] * y + f.m[3 * k + 2] * z + f.after[k];
  });
}

// m^T g; points that all images share sum over them in order.
template <class T>
void rigid_dpoints(const RigidArgs<T>& a) {
  cuda::each("rigid_dpoints", a.points_batch * a.count, [a] __device__(int64_t i) {
    const bool shared = a.points_batch == 1;
    const int64_t own = shared ? 0 : i / a.count, last = shared ? a.batch : own + 1, at = i - own * a.count;
    T total[3] = {};
    for (int64_t b = own; b < last; ++b) {
      const Affine<T> f = affine_of(a, b);
      const T* g = a.dout + 3 * (b * a.count + at);
      for (int k = 0; k < 3; ++k) total[k] += f.m[k] * g[0] + f.m[3 + k] * g[1] + f.m[6 + k] * g[2];
    }
    for (int k = 0; k < 3; ++k) a.dpoints[3 * i + k] = total[k];
  });
}

constexpr unsigned pose_threads = 256;

struct PoseSums {
  double warps[pose_threads / 32][12];
};

// Sums of g (p - before)^T, which is the gradient of m, and of g, over block blockIdx.x of the points of the image that y names.
template <class T>
__global__ void __launch_bounds__(pose_threads) rigid_sums_kernel(RigidArgs<T> a, cuda::FirstBlock first) {
  const int64_t b = first.y + blockIdx.y, begin = blockIdx.x * rigid_block, end = begin + rigid_block < a.count ? begin + rigid_block : a.count;
  const Affine<T> f = affine_of(a, b);
  const T* points = a.points + (a.points_batch == 1 ? 0 : b) * a.count * 3;
  const T* gradients = a.dout + b * a.count * 3;
  T sum[12] = {};
  for (int64_t i = begin + threadIdx.x; i < end; i += pose_threads) {
    const T *p = points + 3 * i, *g = gradients + 3 * i;
    for (int row = 0; row < 3; ++row) {
      for (int k = 0; k < 3; ++k) sum[3 * row + k] += g[row] * (p[k] - f.before[k]);
      sum[9 + row] += g[row];
    }
  }
  auto& s = cuda::shared<PoseSums>();
  for (int k = 0; k < 12; ++k) {
    const T total = cuda::warp_sum(sum[k]);
    if (threadIdx.x % 32 == 0) s.warps[threadIdx.x / 32][k] = static_cast<double>(total);
  }
  __syncthreads();
  if (threadIdx.x >= 12) return;
  double total = 0;
  for (unsigned w = 0; w < pose_threads / 32; ++w) total += s.warps[w][threadIdx.x];
  a.partial[(b * gridDim.x + blockIdx.x) * 12 + threadIdx.x] = total;
}

template <class T>
void rigid_pose(const RigidArgs<T>& a) {
  const int64_t blocks = rigid_blocks(a.count);
  if (blocks > 0)
    cuda::launch_in_parts({"rigid_sums", dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(a.batch)), pose_threads, sizeof(PoseSums)},
                          rigid_sums_kernel<T>, a);
  cuda::each("rigid_pose", a.batch, [a, blocks] __device__(int64_t b) {
    double total[12] = {};
    for (int64_t k = 0; k < blocks; ++k)
      for (int i = 0; i < 12; ++i) total[i] += a.partial[(b * blocks + k) * 12 + i];
    T *dr = a.drotation + 9 * b, *dt = a.dtranslation + 3 * b;
    const Affine<T> f = affine_of(a, b);
    for (int i = 0; i < 9; ++i) dr[a.inverse ? i % 3 * 3 + i / 3 : i] = static_cast<T>(total[i]);
    for (int i = 0; i < 3; ++i) {  // inverse: the translation enters as -m t
      const double along = static_cast<double>(f.m[i]) * total[9] + static_cast<double>(f.m[3 + i]) * total[10] +
                           static_cast<double>(f.m[6 + i]) * total[11];
      dt[i] = static_cast<T>(a.inverse ? -along : total[9 + i]);
    }
  });
}

template <class T>
void rigid_backward(const RigidArgs<T>& a) {
  if (a.dpoints) rigid_dpoints(a);
  if (a.partial && a.batch > 0) rigid_pose(a);
}

template <class T>
void project(const ProjectArgs<T>& a) {
  cuda::each("project", a.count, [a] __device__(int64_t i) {
    const T* p = a.points + 3 * i;
    const T inv = T(1) / p[2];
    a.grid[2 * i] = p[0] * inv * a.scale_x + a.offset_x;
    a.grid[2 * i + 1] = p[1] * inv * a.scale_y + a.offset_y;
  });
}

template <class T>
void project_backward(const ProjectArgs<T>& a) {
  cuda::each("project_backward", a.count, [a] __device__(int64_t i) {
    const T* p = a.points + 3 * i;
    const T inv = T(1) / p[2], gx = a.dgrid[2 * i] * a.scale_x * inv, gy = a.dgrid[2 * i + 1] * a.scale_y * inv;
    a.dpoints[3 * i] = gx;
    a.dpoints[3 * i + 1] = gy;
    a.dpoints[3 * i + 2] = -(gx * p[0] + gy * p[1]) * inv;
  });
}

template <class T>
struct Vector {
  T x, y, z;
};

template <class T>
__device__ inline Vector<T> cross(const Vector<T>& a, const Vector<T>& b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
template <class T>
__device__ inline T dot(const Vector<T>& a, const Vector<T>& b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}

// The two central differences of the unprojected depth at an inner pixel, along the row and along the column.
template <class T>
struct Tangents {
  Vector<T> u, v;
};

template <class T>
__device__ inline Tangents<T> tangents_at(const NormalsArgs<T>& a, int64_t i, const Vector<T>& r) {
  const T *d = a.depth + i, step = a.inv_focal;
  const T left = d[-1], right = d[1], up = d[-a.width], down = d[a.width];
  return {{right * (r.x + step) - left * (r.x - step), (right - left) * r.y, right - left},
          {(down - up) * r.x, down * (r.y + step) - up * (r.y - step), down - up}};
}

template <class T>
__device__ inline Vector<T> ray_at(const NormalsArgs<T>& a, int64_t x, int64_t y) {
  return {ray(x, a.cx, a.inv_focal), ray(y, a.cy, a.inv_focal), T(1)};
}

template <class T>
__device__ inline bool inner(const NormalsArgs<T>& a, int64_t x, int64_t y) {
  return x > 0 && x < a.width - 1 && y > 0 && y < a.height - 1;
}

template <class T>
void normals(const NormalsArgs<T>& a) {
  cuda::each("normals", a.batch * a.height * a.width, [a] __device__(int64_t i) {
    const int64_t row = i / a.width, x = i - row * a.width, y = row % a.height;
    Vector<T> n{T(0), T(0), T(1) / (T(1) + a.epsilon)};
    if (inner(a, x, y)) {
      const Tangents<T> t = tangents_at(a, i, ray_at(a, x, y));
      n = cross(t.u, t.v);
      const T scale = T(1) / (std::sqrt(dot(n, n)) + a.epsilon);
      n = {n.x * scale, n.y * scale, n.z * scale};
    }
    a.normals[3 * i] = n.x;
    a.normals[3 * i + 1] = n.y;
    a.normals[3 * i + 2] = n.z;
  });
}

// The gradient of the two differences at an inner pixel.
template <class T>
__device__ inline Tangents<T> tangent_gradient(const NormalsArgs<T>& a, int64_t i, int64_t x, int64_t y) {
  const Tangents<T> t = tangents_at(a, i, ray_at(a, x, y));
  const Vector<T> n = cross(t.u, t.v), g{a.dnormals[3 * i], a.dnormals[3 * i + 1], a.dnormals[3 * i + 2]};
  const T length = std::sqrt(dot(n, n)), scale = T(1) / (length + a.epsilon);
  const T along = length > T(0) ? dot(g, n) * scale * scale / length : T(0);
  const Vector<T> dn{g.x * scale - n.x * along, g.y * scale - n.y * along, g.z * scale - n.z * along};
  return {cross(t.v, dn), cross(dn, t.u)};
}

// Every depth gathers from the differences that it is part of, which are worked out again: cheaper than to write and read them.
template <class T>
void normals_backward(const NormalsArgs<T>& a) {
  cuda::each("normals_backward", a.batch * a.height * a.width, [a] __device__(int64_t i) {
    const int64_t row = i / a.width, x = i - row * a.width, y = row % a.height;
    const Vector<T> r = ray_at(a, x, y);
    T total = 0;
    if (inner(a, x, y - 1)) total += dot(tangent_gradient(a, i - a.width, x, y - 1).v, r);
    if (inner(a, x, y + 1)) total -= dot(tangent_gradient(a, i + a.width, x, y + 1).v, r);
    if (inner(a, x - 1, y)) total += dot(tangent_gradient(a, i - 1, x - 1, y).u, r);
    if (inner(a, x + 1, y)) total -= dot(tangent_gradient(a, i + 1, x + 1, y).u, r);
    a.ddepth[i] = total;
  });
}

}  // namespace

G2S_REAL_ENTRY(unproject_kernel_cuda, UnprojectArgs, unproject)
G2S_REAL_ENTRY(unproject_backward_kernel_cuda, UnprojectArgs, unproject_backward)
G2S_REAL_ENTRY(rotation_kernel_cuda, RotationArgs, rotation)
G2S_REAL_ENTRY(rotation_backward_kernel_cuda, RotationArgs, rotation_backward)
G2S_REAL_ENTRY(rigid_kernel_cuda, RigidArgs, rigid)
G2S_REAL_ENTRY(rigid_backward_kernel_cuda, RigidArgs, rigid_backward)
G2S_REAL_ENTRY(project_kernel_cuda, ProjectArgs, project)
G2S_REAL_ENTRY(project_backward_kernel_cuda, ProjectArgs, project_backward)
G2S_REAL_ENTRY(normals_kernel_cuda, NormalsArgs, normals)
G2S_REAL_ENTRY(normals_backward_kernel_cuda, NormalsArgs, normals_backward)

}  // namespace g2s::kernels
