#include <cmath>

#include "engine/parallel.h"
#include "kernels/geometry/geometry_args.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t row_elements = 16384;  // elements per piece of parallel work

std::int64_t rows_per_piece(std::int64_t width) {
  std::int64_t rows = row_elements / width;
  return rows > 0 ? rows : 1;
}

template <class T>
void unproject(const UnprojectArgs<T>& a) {
  parallel_blocks(a.batch * a.height, rows_per_piece(a.width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      T ray_y = (static_cast<T>(row % a.height) - a.cy) * a.inv_focal;
      const T* depth = a.depth + row * a.width;
      T* out = a.points + row * a.width * 3;
#pragma omp simd
      for (std::int64_t x = 0; x < a.width; ++x) {
        T d = depth[x];
        out[3 * x] = d * ((static_cast<T>(x) - a.cx) * a.inv_focal);
        out[3 * x + 1] = d * ray_y;
        out[3 * x + 2] = d;
      }
    }
  });
}

template <class T>
void unproject_backward(const UnprojectArgs<T>& a) {
  parallel_blocks(a.batch * a.height, rows_per_piece(a.width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      T ray_y = (static_cast<T>(row % a.height) - a.cy) * a.inv_focal;
      const T* g = a.dpoints + row * a.width * 3;
      T* out = a.ddepth + row * a.width;
#pragma omp simd
      for (std::int64_t x = 0; x < a.width; ++x)
        out[x] = g[3 * x] * ((static_cast<T>(x) - a.cx) * a.inv_focal) + g[3 * x + 1] * ray_y + g[3 * x + 2];
    }
  });
}

using Matrix = double[3][3];

void multiply(const Matrix& a, const Matrix& b, Matrix& out) {
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) out[i][j] = a[i][0] * b[0][j] + a[i][1] * b[1][j] + a[i][2] * b[2][j];
}

// The rotation about `axis` by an angle of this cosine and sine; of the derivative when `one` is 0 and cosine and sine are those of angle + pi/2.
void axis_rotation(int axis, double cosine, double sine, double one, Matrix& m) {
  int j = (axis + 1) % 3, k = (axis + 2) % 3;
  for (auto& row : m)
    for (double& v : row) v = 0;
  m[axis][axis] = one;
  m[j][j] = cosine;
  m[j][k] = -sine;
  m[k][j] = sine;
  m[k][k] = cosine;
}

// Rz Ry Rx, or its derivative by the angle about `derived` (0, 1, 2; -1: the matrix itself).
template <class T>
void rotation_of(const T* angles, int derived, Matrix& out) {
  Matrix r[3], yx;
  for (int axis = 0; axis < 3; ++axis) {
    double c = std::cos(static_cast<double>(angles[axis])), s = std::sin(static_cast<double>(angles[axis]));
    if (axis == derived) axis_rotation(axis, -s, c, 0, r[axis]);
    else axis_rotation(axis, c, s, 1, r[axis]);
  }
  multiply(r[1], r[0], yx);
  multiply(r[2], yx, out);
}

template <class T>
void rotation(const RotationArgs<T>& a) {
  for (std::int64_t b = 0; b < a.batch; ++b) {
    Matrix m;
    rotation_of(a.angles + 3 * b, -1, m);
    for (int i = 0; i < 9; ++i) a.matrices[9 * b + i] = static_cast<T>(m[i / 3][i % 3]);
  }
}

template <class T>
void rotation_backward(const RotationArgs<T>& a) {
  for (std::int64_t b = 0; b < a.batch; ++b)
    for (int axis = 0; axis < 3; ++axis) {
      Matrix m;
      rotation_of(a.angles + 3 * b, axis, m);
      double total = 0;
      for (int i = 0; i < 9; ++i) total += m[i / 3][i % 3] * static_cast<double>(a.dmatrices[9 * b + i]);
      a.dangles[3 * b + axis] = static_cast<T>(total);
    }
}

// out = m (p - before) + after; for the inverse, m is the transposed rotation and `before` holds the translation.
template <class T>
struct Affine {
  T m[9], before[3], after[3];
};

template <class T>
Affine<T> affine_of(const RigidArgs<T>& a, std::int64_t b) {
  const T* r = a.rotation + 9 * b;
  const T* t = a.translation + 3 * b;
  Affine<T> f;
  for (int i = 0; i < 9; ++i) f.m[i] = a.inverse ? r[i % 3 * 3 + i / 3] : r[i];
  for (int i = 0; i < 3; ++i) {
    T c = i == 2 ? a.center : T(0);
    f.before[i] = a.inverse ? c + t[i] : c;
    f.after[i] = a.inverse ? c : c + t[i];
  }
  return f;
}

template <class T>
void rigid(const RigidArgs<T>& a) {
  std::int64_t blocks = rigid_blocks(a.count);
  parallel_for(a.batch * blocks, [&](std::int64_t piece) {
    std::int64_t b = piece / blocks, begin = piece % blocks * rigid_block, end = begin + rigid_block;
    if (end > a.count) end = a.count;
    const Affine<T> f = affine_of(a, b);
    const T* p = a.points + (a.points_batch == 1 ? 0 : b) * a.count * 3;
    T* q = a.out + b * a.count * 3;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      T x = p[3 * i] - f.before[0], y = p[3 * i + 1] - f.before[1], z = p[3 * i + 2] - f.before[2];
      q[3 * i] = f.m[0] * x + f.m[1] * y + f.m[2] * z + f.after[0];
      q[3 * i + 1] = f.m[3] * x + f.m[4] * y + f.m[5] * z + f.after[1];
      q[3 * i + 2] = f.m[6] * x + f.m[7] * y + f.m[8] * z + f.after[2];
    }
  });
}

// Adds (or writes) m^T g to dp.
template <class T>
void rigid_dpoints(const Affine<T>& f, const T* g, T* dp, std::int64_t begin, std::int64_t end, bool add) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    T gx = g[3 * i], gy = g[3 * i + 1], gz = g[3 * i + 2];
    T x = f.m[0] * gx + f.m[3] * gy + f.m[6] * gz, y = f.m[1] * gx + f.m[4] * gy + f.m[7] * gz, z = f.m[2] * gx + f.m[5] * gy + f.m[8] * gz;
    dp[3 * i] = add ? dp[3 * i] + x : x;
    dp[3 * i + 1] = add ? dp[3 * i + 1] + y : y;
    dp[3 * i + 2] = add ? dp[3 * i + 2] + z : z;
  }
}

// Sums g (p - before)^T, which is the gradient of m, and g over one block.
template <class T>
void rigid_sums(const Affine<T>& f, const T* p, const T* g, std::int64_t begin, std::int64_t end, double* dm, double* dg) {
  T s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0, s8 = 0, t0 = 0, t1 = 0, t2 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3, s4, s5, s6, s7, s8, t0, t1, t2)
  for (std::int64_t i = begin; i < end; ++i) {
    T x = p[3 * i] - f.before[0], y = p[3 * i + 1] - f.before[1], z = p[3 * i + 2] - f.before[2];
    T gx = g[3 * i], gy = g[3 * i + 1], gz = g[3 * i + 2];
    s0 += gx * x; s1 += gx * y; s2 += gx * z;
    s3 += gy * x; s4 += gy * y; s5 += gy * z;
    s6 += gz * x; s7 += gz * y; s8 += gz * z;
    t0 += gx; t1 += gy; t2 += gz;
  }
  const T sums[9] = {s0, s1, s2, s3, s4, s5, s6, s7, s8};
  for (int i = 0; i < 9; ++i) dm[i] = static_cast<double>(sums[i]);
  dg[0] = static_cast<double>(t0);
  dg[1] = static_cast<double>(t1);
  dg[2] = static_cast<double>(t2);
}

template <class T>
void rigid_partial(const RigidArgs<T>& a, const Affine<T>& f, const T* p, const T* g, std::int64_t begin, std::int64_t end, double* out) {
  double dm[9], dg[3];
  rigid_sums(f, p, g, begin, end, dm, dg);
  for (int i = 0; i < 9; ++i) out[i] = a.inverse ? dm[i % 3 * 3 + i / 3] : dm[i];
  // Inverse: the translation enters as -m t.
  for (int i = 0; i < 3; ++i)
    out[9 + i] = a.inverse ? -(static_cast<double>(f.m[i]) * dg[0] + static_cast<double>(f.m[3 + i]) * dg[1] + static_cast<double>(f.m[6 + i]) * dg[2]) : dg[i];
}

// Adds the blocks' sums in their order.
template <class T>
void rigid_pose(const RigidArgs<T>& a) {
  const std::int64_t blocks = rigid_blocks(a.count);
  for (std::int64_t b = 0; b < a.batch; ++b)
    for (int i = 0; i < 12; ++i) {
      double total = 0;
      for (std::int64_t k = 0; k < blocks; ++k) total += a.partial[(b * blocks + k) * 12 + i];
      if (i < 9) a.drotation[9 * b + i] = static_cast<T>(total);
      else a.dtranslation[3 * b + i - 9] = static_cast<T>(total);
    }
}

template <class T>
void rigid_backward(const RigidArgs<T>& a) {
  std::int64_t blocks = rigid_blocks(a.count);
  bool shared = a.points_batch == 1;
  parallel_for(a.points_batch * blocks, [&](std::int64_t piece) {
    std::int64_t pb = piece / blocks, block = piece % blocks, begin = block * rigid_block, end = begin + rigid_block;
    if (end > a.count) end = a.count;
    const T* p = a.points + pb * a.count * 3;
    std::int64_t first = shared ? 0 : pb, last = shared ? a.batch : pb + 1;
    for (std::int64_t b = first; b < last; ++b) {
      const Affine<T> f = affine_of(a, b);
      const T* g = a.dout + b * a.count * 3;
      if (a.dpoints) rigid_dpoints(f, g, a.dpoints + pb * a.count * 3, begin, end, b > first);
      if (a.partial) rigid_partial(a, f, p, g, begin, end, a.partial + (b * blocks + block) * 12);
    }
  });
  if (a.partial) rigid_pose(a);
}

template <class T>
void project(const ProjectArgs<T>& a) {
  parallel_blocks(a.count, row_elements, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      T inv = T(1) / a.points[3 * i + 2];
      a.grid[2 * i] = a.points[3 * i] * inv * a.scale_x + a.offset_x;
      a.grid[2 * i + 1] = a.points[3 * i + 1] * inv * a.scale_y + a.offset_y;
    }
  });
}

template <class T>
void project_backward(const ProjectArgs<T>& a) {
  parallel_blocks(a.count, row_elements, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      T inv = T(1) / a.points[3 * i + 2];
      T gx = a.dgrid[2 * i] * a.scale_x * inv, gy = a.dgrid[2 * i + 1] * a.scale_y * inv;
      a.dpoints[3 * i] = gx;
      a.dpoints[3 * i + 1] = gy;
      a.dpoints[3 * i + 2] = -(gx * a.points[3 * i] + gy * a.points[3 * i + 1]) * inv;
    }
  });
}

// The two central differences of the unprojected depth at an inner pixel.
template <class T>
struct Tangents {
  T ux, uy, uz, vx, vy, vz;
};

template <class T>
inline Tangents<T> tangents_at(const T* d, std::int64_t width, T ray_x, T ray_y, T step) {
  T left = d[-1], right = d[1], up = d[-width], down = d[width];
  return {right * (ray_x + step) - left * (ray_x - step), (right - left) * ray_y, right - left,
          (down - up) * ray_x, down * (ray_y + step) - up * (ray_y - step), down - up};
}

template <class T>
void normals_row(const NormalsArgs<T>& a, std::int64_t row) {
  std::int64_t y = row % a.height;
  T* out = a.normals + row * a.width * 3;
  const T flat = T(1) / (T(1) + a.epsilon);
  auto border = [&](std::int64_t x) {
    out[3 * x] = 0;
    out[3 * x + 1] = 0;
    out[3 * x + 2] = flat;
  };
  if (y == 0 || y == a.height - 1) {
    for (std::int64_t x = 0; x < a.width; ++x) border(x);
    return;
  }
  border(0);
  border(a.width - 1);
  const T* d = a.depth + row * a.width;
  T ray_y = (static_cast<T>(y) - a.cy) * a.inv_focal;
#pragma omp simd
  for (std::int64_t x = 1; x < a.width - 1; ++x) {
    Tangents<T> t = tangents_at(d + x, a.width, (static_cast<T>(x) - a.cx) * a.inv_focal, ray_y, a.inv_focal);
    T nx = t.uy * t.vz - t.uz * t.vy, ny = t.uz * t.vx - t.ux * t.vz, nz = t.ux * t.vy - t.uy * t.vx;
    T scale = T(1) / (std::sqrt(nx * nx + ny * ny + nz * nz) + a.epsilon);
    out[3 * x] = nx * scale;
    out[3 * x + 1] = ny * scale;
    out[3 * x + 2] = nz * scale;
  }
}

// Gradients of the central differences of one row.
template <class T>
void normals_tangents_row(const NormalsArgs<T>& a, std::int64_t row) {
  std::int64_t y = row % a.height, plane = a.batch * a.height * a.width;
  T* out = a.tangents + row * a.width;
  auto border = [&](std::int64_t x) {
    for (int k = 0; k < 6; ++k) out[k * plane + x] = 0;
  };
  if (y == 0 || y == a.height - 1) {
    for (std::int64_t x = 0; x < a.width; ++x) border(x);
    return;
  }
  border(0);
  border(a.width - 1);
  const T* d = a.depth + row * a.width;
  const T* g = a.dnormals + row * a.width * 3;
  T ray_y = (static_cast<T>(y) - a.cy) * a.inv_focal;
#pragma omp simd
  for (std::int64_t x = 1; x < a.width - 1; ++x) {
    Tangents<T> t = tangents_at(d + x, a.width, (static_cast<T>(x) - a.cx) * a.inv_focal, ray_y, a.inv_focal);
    T nx = t.uy * t.vz - t.uz * t.vy, ny = t.uz * t.vx - t.ux * t.vz, nz = t.ux * t.vy - t.uy * t.vx;
    T length = std::sqrt(nx * nx + ny * ny + nz * nz), scale = T(1) / (length + a.epsilon);
    T along = (g[3 * x] * nx + g[3 * x + 1] * ny + g[3 * x + 2] * nz) * scale * scale;
    along = length > T(0) ? along / length : T(0);
    T gx = g[3 * x] * scale - nx * along, gy = g[3 * x + 1] * scale - ny * along, gz = g[3 * x + 2] * scale - nz * along;
    out[x] = t.vy * gz - t.vz * gy;
    out[plane + x] = t.vz * gx - t.vx * gz;
    out[2 * plane + x] = t.vx * gy - t.vy * gx;
    out[3 * plane + x] = gy * t.uz - gz * t.uy;
    out[4 * plane + x] = gz * t.ux - gx * t.uz;
    out[5 * plane + x] = gx * t.uy - gy * t.ux;
  }
}

// Every depth gathers from the differences that it is part of: two along the row, two along the column.
template <class T>
void normals_gather_row(const NormalsArgs<T>& a, std::int64_t row) {
  std::int64_t y = row % a.height, width = a.width, plane = a.batch * a.height * width;
  T* out = a.ddepth + row * width;
  const T* t = a.tangents + row * width;
  T ray_y = (static_cast<T>(y) - a.cy) * a.inv_focal;
  bool up = y > 0, down = y < a.height - 1;
  for (std::int64_t x = 0; x < width; ++x) out[x] = 0;
  auto rows = [&](std::int64_t offset, T sign) {
#pragma omp simd
    for (std::int64_t x = 0; x < width; ++x) {
      const T* v = t + offset + x;
      out[x] += sign * (v[3 * plane] * ((static_cast<T>(x) - a.cx) * a.inv_focal) + v[4 * plane] * ray_y + v[5 * plane]);
    }
  };
  if (up) rows(-width, T(1));
  if (down) rows(width, T(-1));
#pragma omp simd
  for (std::int64_t x = 1; x < width; ++x)
    out[x] += t[x - 1] * ((static_cast<T>(x) - a.cx) * a.inv_focal) + t[plane + x - 1] * ray_y + t[2 * plane + x - 1];
#pragma omp simd
  for (std::int64_t x = 0; x < width - 1; ++x)
    out[x] -= t[x + 1] * ((static_cast<T>(x) - a.cx) * a.inv_focal) + t[plane + x + 1] * ray_y + t[2 * plane + x + 1];
}

template <class Row>
void each_row(std::int64_t rows, std::int64_t width, Row&& row) {
  parallel_blocks(rows, rows_per_piece(width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) row(r);
  });
}

template <class T>
void normals(const NormalsArgs<T>& a) {
  each_row(a.batch * a.height, a.width, [&](std::int64_t row) { normals_row(a, row); });
}

template <class T>
void normals_backward(const NormalsArgs<T>& a) {
  each_row(a.batch * a.height, a.width, [&](std::int64_t row) { normals_tangents_row(a, row); });
  each_row(a.batch * a.height, a.width, [&](std::int64_t row) { normals_gather_row(a, row); });
}

}  // namespace

G2S_REAL_ENTRY(unproject_kernel_cpu, UnprojectArgs, unproject)
G2S_REAL_ENTRY(unproject_backward_kernel_cpu, UnprojectArgs, unproject_backward)
G2S_REAL_ENTRY(rotation_kernel_cpu, RotationArgs, rotation)
G2S_REAL_ENTRY(rotation_backward_kernel_cpu, RotationArgs, rotation_backward)
G2S_REAL_ENTRY(rigid_kernel_cpu, RigidArgs, rigid)
G2S_REAL_ENTRY(rigid_backward_kernel_cpu, RigidArgs, rigid_backward)
G2S_REAL_ENTRY(project_kernel_cpu, ProjectArgs, project)
G2S_REAL_ENTRY(project_backward_kernel_cpu, ProjectArgs, project_backward)
G2S_REAL_ENTRY(normals_kernel_cpu, NormalsArgs, normals)
G2S_REAL_ENTRY(normals_backward_kernel_cpu, NormalsArgs, normals_backward)

}  // namespace g2s::kernels::G2S_ISA
