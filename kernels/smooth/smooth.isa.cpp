#include <cmath>

#include "engine/parallel.h"
#include "kernels/sizes.isa.h"
#include "kernels/smooth/smooth_args.h"

namespace g2s::kernels::G2S_ISA {
namespace {

using std::int64_t;

// The second differences at element i: along the row (steps of c), across (steps of r), and mixed.
template <class T>
inline T along(const T* x, int64_t i, int64_t c) {
  return (x[i + 2 * c] - x[i + c]) - (x[i + c] - x[i]);
}
template <class T>
inline T mixed(const T* x, int64_t i, int64_t c, int64_t r) {
  return (x[i + r + c] - x[i + r]) - (x[i + c] - x[i]);
}

template <class T, class Value>
inline double sum_abs(int64_t n, Value value) {
  T total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t i = 0; i < n; ++i) total += std::abs(value(i));
  return static_cast<double>(total);
}

template <class T>
void smooth(const SmoothArgs<T>& a) {
  const int64_t c = a.channels, r = a.row, rows = smooth_rows(r), blocks = smooth_blocks(a.height, r);
  parallel_for(a.batch * blocks, [&](int64_t piece) {
    const int64_t b = piece / blocks, begin = piece % blocks * rows, end = min(begin + rows, a.height);
    double xx = 0, xy = 0, yy = 0;
    for (int64_t h = begin; h < end; ++h) {
      const T* x = a.x + (b * a.height + h) * r;
      xx += sum_abs<T>(r - 2 * c, [=](int64_t i) { return along(x, i, c); });
      if (h + 1 < a.height) xy += sum_abs<T>(r - c, [=](int64_t i) { return mixed(x, i, c, r); });
      if (h + 2 < a.height) yy += sum_abs<T>(r, [=](int64_t i) { return along(x, i, r); });
    }
    a.partial[piece] = a.xx * xx + a.xy * xy + a.yy * yy;
  });
  double total = 0;
  for (int64_t i = 0; i < a.batch * blocks; ++i) total += a.partial[i];
  a.loss[0] = static_cast<T>(total);
}

template <class T>
inline T sign(T v) {
  return (v > 0 ? T(1) : T(0)) - (v < 0 ? T(1) : T(0));
}

// Elements [begin, end) of one row of dx: every second difference that they take part in gives its sign.
template <class T>
struct GradRow {
  static constexpr int64_t size = 512;

  const SmoothGradArgs<T>& a;
  const T* x;   // this row
  T* dx;        // this row
  int64_t h;    // its number
  T xx, xy, yy;

  void run(int64_t begin, int64_t end) const {
    const int64_t c = a.channels, r = a.row;
    T signs[3 * size];
    const int64_t low = begin - 2 * c;
    fill(low, end, r - 2 * c, signs, [=, this](int64_t i) { return sign(along(x, i, c)); });
    const T* s = signs + 2 * c;
#pragma omp simd
    for (int64_t i = 0; i < end - begin; ++i) dx[begin + i] = xx * (s[i] - 2 * s[i - c] + s[i - 2 * c]);
    if (h + 1 < a.height) add_mixed(x, begin, end, signs, xy);
    if (h > 0) add_mixed(x - r, begin, end, signs, -xy);
    if (h + 2 < a.height) add_across(x, begin, end, yy);
    if (h > 0 && h + 1 < a.height) add_across(x - r, begin, end, -2 * yy);
    if (h > 1) add_across(x - 2 * r, begin, end, yy);
  }

  // Mixed differences that start in row `from`.
  void add_mixed(const T* from, int64_t begin, int64_t end, T* signs, T factor) const {
    const int64_t c = a.channels, r = a.row;
    fill(begin - c, end, r - c, signs, [=](int64_t i) { return sign(mixed(from, i, c, r)); });
#pragma omp simd
    for (int64_t i = 0; i < end - begin; ++i) dx[begin + i] += factor * (signs[i + c] - signs[i]);
  }

  // Signs of the differences that start at elements [low, end), 0 where there is none: they start in [0, count).
  template <class Value>
  static void fill(int64_t low, int64_t end, int64_t count, T* out, Value value) {
    const int64_t from = min(max(low, 0), end), to = min(end, max(count, from));
    for (int64_t i = low; i < from; ++i) out[i - low] = 0;
#pragma omp simd
    for (int64_t i = from; i < to; ++i) out[i - low] = value(i);
    for (int64_t i = to; i < end; ++i) out[i - low] = 0;
  }

  void add_across(const T* from, int64_t begin, int64_t end, T factor) const {
    const int64_t r = a.row;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) dx[i] += factor * sign(along(from, i, r));
  }
};

template <class T>
void smooth_grad(const SmoothGradArgs<T>& a) {
  const T g = a.dloss[0];
  const int64_t r = a.row, rows = smooth_rows(r), blocks = smooth_blocks(a.height, r);
  parallel_for(a.batch * blocks, [&](int64_t piece) {
    const int64_t b = piece / blocks, begin = piece % blocks * rows, end = min(begin + rows, a.height);
    for (int64_t h = begin; h < end; ++h) {
      const int64_t at = (b * a.height + h) * r;
      const GradRow<T> row{a, a.x + at, a.dx + at, h, g * static_cast<T>(a.xx), g * static_cast<T>(a.xy), g * static_cast<T>(a.yy)};
      for (int64_t i = 0; i < r; i += GradRow<T>::size) row.run(i, min(i + GradRow<T>::size, r));
    }
  });
}

}  // namespace

G2S_REAL_ENTRY(smooth_cpu, SmoothArgs, smooth)
G2S_REAL_ENTRY(smooth_grad_cpu, SmoothGradArgs, smooth_grad)

}  // namespace g2s::kernels::G2S_ISA
