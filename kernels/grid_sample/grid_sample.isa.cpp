#include <cmath>
#include <cstring>

#include "engine/parallel.h"
#include "kernels/grid_sample/grid_sample_args.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t block = 64;  // positions that are worked out together

// Where positions lie between pixels. Weights are products of a row's and a column's, 0 for one outside; such a row or column stands at the
// nearest one inside, which is the other of the two wherever `state` is touching.
template <class T>
struct Positions {
  std::int32_t pixel[4][block];                     // upper left, upper right, lower left, lower right
  T column[2][block], row[2][block];                // weights
  T column_inside[2][block], row_inside[2][block];  // 1 or 0
  std::int32_t state[block];
};
enum State : std::int32_t { outside, touching, not_finite };

template <class T>
struct Axis {
  std::int32_t near, far;
  T near_inside, far_inside, near_weight, far_weight;
};

template <class T>
inline Axis<T> between(T position, std::int32_t size) {
  T limited = position > T(-2) ? position : T(-2);  // also a NaN
  limited = limited < static_cast<T>(size) + T(1) ? limited : static_cast<T>(size) + T(1);
  std::int32_t near = static_cast<std::int32_t>(limited);
  near -= static_cast<T>(near) > limited ? 1 : 0;  // towards zero so far: down
  std::int32_t far = near + 1;
  T fraction = limited - static_cast<T>(near);
  Axis<T> a;
  a.near_inside = (near >= 0) & (near < size) ? T(1) : T(0);
  a.far_inside = (far >= 0) & (far < size) ? T(1) : T(0);
  a.near_weight = a.near_inside * (T(1) - fraction);
  a.far_weight = a.far_inside * fraction;
  std::int32_t last = size - 1;
  near = near < 0 ? 0 : near;
  far = far < 0 ? 0 : far;
  a.near = near < last ? near : last;
  a.far = far < last ? far : last;
  return a;
}

template <class T>
void locate(const GridSampleArgs<T>& a, const T* grid, std::int64_t count, Positions<T>& p) {
  const T scale_x = static_cast<T>(a.width - 1) * T(0.5), scale_y = static_cast<T>(a.height - 1) * T(0.5);
  const std::int32_t width = static_cast<std::int32_t>(a.width), height = static_cast<std::int32_t>(a.height);
  const T end_x = static_cast<T>(a.width), end_y = static_cast<T>(a.height);
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    T px = (grid[2 * i] + T(1)) * scale_x, py = (grid[2 * i + 1] + T(1)) * scale_y;
    Axis<T> x = between(px, width), y = between(py, height);
    p.pixel[0][i] = y.near * width + x.near;
    p.pixel[1][i] = y.near * width + x.far;
    p.pixel[2][i] = y.far * width + x.near;
    p.pixel[3][i] = y.far * width + x.far;
    p.column[0][i] = x.near_weight;
    p.column[1][i] = x.far_weight;
    p.row[0][i] = y.near_weight;
    p.row[1][i] = y.far_weight;
    p.column_inside[0][i] = x.near_inside;
    p.column_inside[1][i] = x.far_inside;
    p.row_inside[0][i] = y.near_inside;
    p.row_inside[1][i] = y.far_inside;
    bool finite = (px - px == T(0)) & (py - py == T(0)), touches = (px > T(-1)) & (px < end_x) & (py > T(-1)) & (py < end_y);
    p.state[i] = finite ? (touches ? touching : outside) : not_finite;
  }
}

// Offset of the nearest pixel (halves to even), or -1 outside.
template <class T>
inline std::int64_t nearest_at(const GridSampleArgs<T>& a, T gx, T gy) {
  T px = std::nearbyint((gx + T(1)) * (static_cast<T>(a.width - 1) * T(0.5)));
  T py = std::nearbyint((gy + T(1)) * (static_cast<T>(a.height - 1) * T(0.5)));
  if (!(px >= T(0) && px <= static_cast<T>(a.width - 1) && py >= T(0) && py <= static_cast<T>(a.height - 1))) return -1;
  return (static_cast<std::int64_t>(py) * a.width + static_cast<std::int64_t>(px)) * a.channels;
}

template <class T>
inline void fill(T* y, std::int64_t channels, T value) {
  for (std::int64_t k = 0; k < channels; ++k) y[k] = value;
}

// C: the number of channels when it is known to the compiler, else 0. Few channels are unrolled: as vectors they would be mostly empty.
template <int C, class Body>
inline void each_channel(std::int64_t channels, Body&& body) {
  if constexpr (C != 0) {
#pragma GCC unroll 4
    for (int k = 0; k < C; ++k) body(k);
  } else {
#pragma omp simd
    for (std::int64_t k = 0; k < channels; ++k) body(k);
  }
}

template <int C, class T>
void nearest_row(const GridSampleArgs<T>& a, const T* x, const T* grid, T* y) {
  const std::int64_t channels = C ? C : a.channels;
  for (std::int64_t i = 0; i < a.columns; ++i, y += channels) {
    std::int64_t offset = nearest_at(a, grid[2 * i], grid[2 * i + 1]);
    if (offset < 0) fill(y, channels, T(0));
    else each_channel<C>(channels, [&](std::int64_t k) { y[k] = x[offset + k]; });
  }
}

template <int C, class T>
void bilinear_row(const GridSampleArgs<T>& a, const T* x, const T* grid, T* y) {
  const std::int64_t channels = C ? C : a.channels;
  Positions<T> p;
  for (std::int64_t begin = 0; begin < a.columns; begin += block) {
    std::int64_t count = a.columns - begin < block ? a.columns - begin : block;
    locate(a, grid + 2 * begin, count, p);
    for (std::int64_t i = 0; i < count; ++i, y += channels) {
      if (p.state[i] != touching) {
        fill(y, channels, p.state[i] == outside ? T(0) : static_cast<T>(NAN));
        continue;
      }
      const T *x0 = x + p.pixel[0][i] * channels, *x1 = x + p.pixel[1][i] * channels, *x2 = x + p.pixel[2][i] * channels,
              *x3 = x + p.pixel[3][i] * channels;
      T w0 = p.row[0][i] * p.column[0][i], w1 = p.row[0][i] * p.column[1][i], w2 = p.row[1][i] * p.column[0][i], w3 = p.row[1][i] * p.column[1][i];
      each_channel<C>(channels, [&](std::int64_t k) { y[k] = w0 * x0[k] + w1 * x1[k] + w2 * x2[k] + w3 * x3[k]; });
    }
  }
}

template <int C, class T>
inline T product(const T* p, const T* q, std::int64_t channels) {
  T total = 0;
  if constexpr (C != 0) {
#pragma GCC unroll 4
    for (int k = 0; k < C; ++k) total += p[k] * q[k];
  } else {
#pragma omp simd reduction(+ : total)
    for (std::int64_t k = 0; k < channels; ++k) total += p[k] * q[k];
  }
  return total;
}

template <int C, class T>
void nearest_backward_row(const GridSampleArgs<T>& a, const T* grid, const T* dy, T* dx) {
  const std::int64_t channels = C ? C : a.channels;
  for (std::int64_t i = 0; i < a.columns; ++i, dy += channels) {
    std::int64_t offset = nearest_at(a, grid[2 * i], grid[2 * i + 1]);
    if (offset >= 0) each_channel<C>(channels, [&](std::int64_t k) { dx[offset + k] += dy[k]; });
  }
}

// dx may be null, dgrid may be null.
template <int C, class T>
void bilinear_backward_row(const GridSampleArgs<T>& a, const T* x, const T* grid, const T* dy, T* dx, T* dgrid) {
  const std::int64_t channels = C ? C : a.channels;
  const T scale_x = static_cast<T>(a.width - 1) * T(0.5), scale_y = static_cast<T>(a.height - 1) * T(0.5);
  Positions<T> p;
  for (std::int64_t begin = 0; begin < a.columns; begin += block) {
    std::int64_t count = a.columns - begin < block ? a.columns - begin : block;
    locate(a, grid + 2 * begin, count, p);
    T* out = dgrid ? dgrid + 2 * begin : nullptr;
    for (std::int64_t i = 0; i < count; ++i, dy += channels) {
      if (p.state[i] != touching) {
        if (out) out[2 * i] = out[2 * i + 1] = p.state[i] == outside ? T(0) : static_cast<T>(NAN);
        continue;
      }
      T dot[4] = {};
#pragma GCC unroll 4
      for (int corner = 0; corner < 4; ++corner) {
        std::int64_t offset = p.pixel[corner][i] * channels;
        T w = p.row[corner >> 1][i] * p.column[corner & 1][i];
        if (dx) each_channel<C>(channels, [&](std::int64_t k) { dx[offset + k] += w * dy[k]; });
        if (out) dot[corner] = product<C>(x + offset, dy, channels);
      }
      if (!out) continue;
      T left = p.column_inside[0][i], right = p.column_inside[1][i], up = p.row_inside[0][i], down = p.row_inside[1][i];
      out[2 * i] = scale_x * (p.row[0][i] * (right * dot[1] - left * dot[0]) + p.row[1][i] * (right * dot[3] - left * dot[2]));
      out[2 * i + 1] = scale_y * (p.column[0][i] * (down * dot[2] - up * dot[0]) + p.column[1][i] * (down * dot[3] - up * dot[1]));
    }
  }
}

template <int C, class T>
void sample(const GridSampleArgs<T>& a) {
  std::int64_t image_size = a.height * a.width * a.channels, rows_per_piece = 8192 / a.columns;
  parallel_blocks(a.batch * a.rows, rows_per_piece > 0 ? rows_per_piece : 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const T *x = a.x + (a.x_batch == 1 ? 0 : row / a.rows * image_size), *grid = a.grid + row * a.columns * 2;
      T* y = a.y + row * a.columns * a.channels;
      if (a.nearest) nearest_row<C>(a, x, grid, y);
      else bilinear_row<C>(a, x, grid, y);
    }
  });
}

template <class T>
void merge_chunks(const GridSampleArgs<T>& a) {
  std::int64_t image_size = a.height * a.width * a.channels;
  parallel_blocks(a.x_batch * image_size, 8192, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* p = a.partial + i / image_size * a.chunks * image_size + i % image_size;
      T total = p[0];
      for (std::int64_t k = 1; k < a.chunks; ++k) total += p[k * image_size];
      a.dx[i] = total;
    }
  });
}

template <int C, class T>
void sample_backward(const GridSampleArgs<T>& a) {
  std::int64_t image_size = a.height * a.width * a.channels, rows = a.batch / a.x_batch * a.rows;  // rows of the grid for each image of x
  parallel_for(a.x_batch * a.chunks, [&](std::int64_t piece) {
    std::int64_t image = piece / a.chunks, chunk = piece % a.chunks;
    T* dx = !a.dx ? nullptr : a.chunks > 1 ? a.partial + piece * image_size : a.dx + image * image_size;
    if (dx) std::memset(dx, 0, static_cast<std::size_t>(image_size) * sizeof(T));
    for (std::int64_t r = rows * chunk / a.chunks; r < rows * (chunk + 1) / a.chunks; ++r) {
      std::int64_t row = image * rows + r;
      const T *grid = a.grid + row * a.columns * 2, *dy = a.dy + row * a.columns * a.channels;
      T* dgrid = a.dgrid ? a.dgrid + row * a.columns * 2 : nullptr;
      if (!a.nearest) bilinear_backward_row<C>(a, a.x + image * image_size, grid, dy, dx, dgrid);
      else if (dx) nearest_backward_row<C>(a, grid, dy, dx);
    }
  });
  if (a.dx && a.chunks > 1) merge_chunks(a);
}

template <class T>
void forward_channels(const GridSampleArgs<T>& a) {
  if (a.channels == 1) sample<1>(a);
  else if (a.channels == 3) sample<3>(a);
  else sample<0>(a);
}

template <class T>
void backward_channels(const GridSampleArgs<T>& a) {
  if (a.channels == 1) sample_backward<1>(a);
  else if (a.channels == 3) sample_backward<3>(a);
  else sample_backward<0>(a);
}

}  // namespace

G2S_REAL_ENTRY(grid_sample_kernel_cpu, GridSampleArgs, forward_channels)
G2S_REAL_ENTRY(grid_sample_backward_kernel_cpu, GridSampleArgs, backward_channels)

}  // namespace g2s::kernels::G2S_ISA
