#include <cmath>
#include <cstring>

#include "engine/parallel.h"
#include "kernels/grid_sample/grid_sample_args.h"

namespace g2s::kernels::G2S_ISA {
namespace {

// The four pixels around a position, row by row. One outside has weight 0 and stands at its nearest pixel inside, which is another of the four.
template <class T>
struct Corners {
  std::int64_t offset[4];  // of the pixel's first channel
  T weight[4];
  T inside[4];             // 1 or 0
  T fx, fy;                // position within the cell
  bool finite, touches;    // touches: at least one pixel is inside
};

template <class T>
inline Corners<T> corners_at(const GridSampleArgs<T>& a, T gx, T gy) {
  Corners<T> c;
  T px = (gx + T(1)) * (static_cast<T>(a.width - 1) * T(0.5)), py = (gy + T(1)) * (static_cast<T>(a.height - 1) * T(0.5));
  c.finite = px - px == T(0) && py - py == T(0);
  // Also false for NaN, so that the conversions below are in range.
  c.touches = px > T(-1) && px < static_cast<T>(a.width) && py > T(-1) && py < static_cast<T>(a.height);
  if (!c.touches) return c;
  T x0 = std::floor(px), y0 = std::floor(py);
  c.fx = px - x0;
  c.fy = py - y0;
  std::int64_t ix = static_cast<std::int64_t>(x0), iy = static_cast<std::int64_t>(y0);
  for (int k = 0; k < 4; ++k) {
    std::int64_t x = ix + (k & 1), y = iy + (k >> 1);
    c.inside[k] = x >= 0 && x < a.width && y >= 0 && y < a.height ? T(1) : T(0);
    x = x < 0 ? 0 : x < a.width ? x : a.width - 1;
    y = y < 0 ? 0 : y < a.height ? y : a.height - 1;
    c.offset[k] = (y * a.width + x) * a.channels;
    c.weight[k] = c.inside[k] * ((k & 1) ? c.fx : T(1) - c.fx) * ((k >> 1) ? c.fy : T(1) - c.fy);
  }
  return c;
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

// C: the number of channels when it is known to the compiler, else 0.
template <int C, class T>
void sample_row(const GridSampleArgs<T>& a, const T* x, const T* grid, T* y) {
  const std::int64_t channels = C ? C : a.channels;
  for (std::int64_t i = 0; i < a.columns; ++i, y += channels) {
    if (a.nearest) {
      std::int64_t offset = nearest_at(a, grid[2 * i], grid[2 * i + 1]);
      if (offset < 0) fill(y, channels, T(0));
      else std::memcpy(y, x + offset, static_cast<std::size_t>(channels) * sizeof(T));
      continue;
    }
    Corners<T> c = corners_at(a, grid[2 * i], grid[2 * i + 1]);
    if (!c.touches) {
      fill(y, channels, c.finite ? T(0) : static_cast<T>(NAN));
      continue;
    }
    const T *p0 = x + c.offset[0], *p1 = x + c.offset[1], *p2 = x + c.offset[2], *p3 = x + c.offset[3];
#pragma omp simd
    for (std::int64_t k = 0; k < channels; ++k) y[k] = c.weight[0] * p0[k] + c.weight[1] * p1[k] + c.weight[2] * p2[k] + c.weight[3] * p3[k];
  }
}

// dx may be null, dgrid may be null.
template <int C, class T>
void backward_row(const GridSampleArgs<T>& a, const T* x, const T* grid, const T* dy, T* dx, T* dgrid) {
  const std::int64_t channels = C ? C : a.channels;
  const T scale_x = static_cast<T>(a.width - 1) * T(0.5), scale_y = static_cast<T>(a.height - 1) * T(0.5);
  for (std::int64_t i = 0; i < a.columns; ++i, dy += channels) {
    if (a.nearest) {
      std::int64_t offset = nearest_at(a, grid[2 * i], grid[2 * i + 1]);
      if (dx && offset >= 0)
        for (std::int64_t k = 0; k < channels; ++k) dx[offset + k] += dy[k];
      continue;
    }
    Corners<T> c = corners_at(a, grid[2 * i], grid[2 * i + 1]);
    if (!c.touches) {
      if (dgrid) dgrid[2 * i] = dgrid[2 * i + 1] = c.finite ? T(0) : static_cast<T>(NAN);
      continue;
    }
    if (dx)
      for (int corner = 0; corner < 4; ++corner) {
        T* p = dx + c.offset[corner];
        T w = c.weight[corner];
        for (std::int64_t k = 0; k < channels; ++k) p[k] += w * dy[k];
      }
    if (!dgrid) continue;
    T dot[4];
    for (int corner = 0; corner < 4; ++corner) {
      const T* p = x + c.offset[corner];
      T total = 0;
#pragma omp simd reduction(+ : total)
      for (std::int64_t k = 0; k < channels; ++k) total += p[k] * dy[k];
      dot[corner] = c.inside[corner] * total;
    }
    dgrid[2 * i] = scale_x * ((T(1) - c.fy) * (dot[1] - dot[0]) + c.fy * (dot[3] - dot[2]));
    dgrid[2 * i + 1] = scale_y * ((T(1) - c.fx) * (dot[2] - dot[0]) + c.fx * (dot[3] - dot[1]));
  }
}

template <int C, class T>
void sample(const GridSampleArgs<T>& a) {
  std::int64_t image = a.height * a.width * a.channels, rows_per_piece = 8192 / a.columns;
  parallel_blocks(a.batch * a.rows, rows_per_piece > 0 ? rows_per_piece : 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      sample_row<C>(a, a.x + (a.x_batch == 1 ? 0 : row / a.rows * image), a.grid + row * a.columns * 2, a.y + row * a.columns * a.channels);
  });
}

template <class T>
void merge_chunks(const GridSampleArgs<T>& a) {
  std::int64_t image = a.height * a.width * a.channels;
  parallel_blocks(a.x_batch * image, 8192, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* p = a.partial + i / image * a.chunks * image + i % image;
      T total = p[0];
      for (std::int64_t k = 1; k < a.chunks; ++k) total += p[k * image];
      a.dx[i] = total;
    }
  });
}

template <int C, class T>
void sample_backward(const GridSampleArgs<T>& a) {
  std::int64_t image = a.height * a.width * a.channels, rows = a.batch / a.x_batch * a.rows;  // rows of the grid for each picture of x
  parallel_for(a.x_batch * a.chunks, [&](std::int64_t piece) {
    std::int64_t picture = piece / a.chunks, chunk = piece % a.chunks;
    T* dx = !a.dx ? nullptr : a.chunks > 1 ? a.partial + piece * image : a.dx + picture * image;
    if (dx) std::memset(dx, 0, static_cast<std::size_t>(image) * sizeof(T));
    for (std::int64_t r = rows * chunk / a.chunks; r < rows * (chunk + 1) / a.chunks; ++r) {
      std::int64_t row = picture * rows + r;
      backward_row<C>(a, a.x + picture * image, a.grid + row * a.columns * 2, a.dy + row * a.columns * a.channels, dx,
                      a.dgrid ? a.dgrid + row * a.columns * 2 : nullptr);
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

void grid_sample_kernel(const GridSampleArgs<float>& a) { forward_channels(a); }
void grid_sample_kernel(const GridSampleArgs<double>& a) { forward_channels(a); }
void grid_sample_backward_kernel(const GridSampleArgs<float>& a) { backward_channels(a); }
void grid_sample_backward_kernel(const GridSampleArgs<double>& a) { backward_channels(a); }

}  // namespace g2s::kernels::G2S_ISA
