// Sums run in double, in an order that the sizes alone decide: rows are summed in groups into partial sums, then these in order.
#include <cstring>

#include "engine/parallel.h"
#include "kernels/reduce/reduce_args.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t tile = 32;            // columns summed in registers
constexpr std::int64_t strip = 512;          // columns summed at once
constexpr std::int64_t piece = 1 << 16;      // elements of one piece of work
constexpr std::int64_t narrow = 4 * tile;    // rows below this may be joined
constexpr std::int64_t short_sum = 2048;     // a contiguous sum below this is not cut

template <class T>
double term(const T* x, const T* w, std::int64_t i) {
  return w ? static_cast<double>(x[i]) * static_cast<double>(w[i]) : static_cast<double>(x[i]);
}

// sums[0, tile) = column sums of `rows` rows that lie `pitch` apart.
template <class T>
void column_tile(const T* x, std::int64_t rows, std::int64_t pitch, double* sums) {
  double acc[tile] = {};
  std::int64_t r = 0;
  // Four rows are added in f32 before they are widened: conversions cost more than the sums.
  for (; r + 4 <= rows; r += 4) {
    const T *a = x + r * pitch, *b = a + pitch, *c = b + pitch, *d = c + pitch;
#pragma omp simd
    for (std::int64_t k = 0; k < tile; ++k) acc[k] += static_cast<double>((a[k] + b[k]) + (c[k] + d[k]));
  }
  for (; r < rows; ++r) {
#pragma omp simd
    for (std::int64_t k = 0; k < tile; ++k) acc[k] += static_cast<double>(x[r * pitch + k]);
  }
  std::memcpy(sums, acc, sizeof acc);
}

// The same of x * w.
template <class T>
void column_tile(const T* x, const T* w, std::int64_t rows, std::int64_t pitch, double* sums) {
  double acc[tile] = {};
  for (std::int64_t r = 0; r < rows; ++r) {
    const T *a = x + r * pitch, *b = w + r * pitch;
#pragma omp simd
    for (std::int64_t k = 0; k < tile; ++k) acc[k] += static_cast<double>(a[k]) * static_cast<double>(b[k]);
  }
  std::memcpy(sums, acc, sizeof acc);
}

template <class T>
void columns(const T* x, const T* w, std::int64_t rows, std::int64_t pitch, std::int64_t count, double* sums) {
  std::int64_t c = 0;
  for (; c + tile <= count; c += tile) {
    if (w) column_tile(x + c, w + c, rows, pitch, sums + c);
    else column_tile(x + c, rows, pitch, sums + c);
  }
  if (c == count) return;
  for (std::int64_t k = c; k < count; ++k) sums[k] = 0;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t k = c; k < count; ++k) sums[k] += term(x, w, r * pitch + k);
}

// The same for rows without gaps that are narrower than a few tiles: several rows are read as one, so that tiles come out even.
template <class T>
void narrow_columns(const T* x, const T* w, std::int64_t rows, std::int64_t count, double* sums) {
  std::int64_t join = tile;
  for (std::int64_t even = count; even % 2 == 0 && join > 1; even /= 2) join /= 2;
  if (join == 1) return columns(x, w, rows, count, count, sums);
  double joined[tile * narrow];
  std::int64_t groups = rows / join, done = groups * join;
  for (std::int64_t k = 0; k < count; ++k) sums[k] = 0;
  if (groups) {
    columns(x, w, groups, join * count, join * count, joined);
    for (std::int64_t r = 0; r < join; ++r)
      for (std::int64_t k = 0; k < count; ++k) sums[k] += joined[r * count + k];
  }
  for (std::int64_t r = done; r < rows; ++r)
    for (std::int64_t k = 0; k < count; ++k) sums[k] += term(x, w, r * count + k);
}

// One contiguous sum.
template <class T>
double row_sum(const T* x, const T* w, std::int64_t n) {
  constexpr std::int64_t width = 16;
  double acc[width] = {};
  std::int64_t i = 0;
  for (; i + width <= n; i += width) {
    if (w) {
#pragma omp simd
      for (std::int64_t k = 0; k < width; ++k) acc[k] += static_cast<double>(x[i + k]) * static_cast<double>(w[i + k]);
    } else {
#pragma omp simd
      for (std::int64_t k = 0; k < width; ++k) acc[k] += static_cast<double>(x[i + k]);
    }
  }
  double rest = 0;
  for (; i < n; ++i) rest += term(x, w, i);
  for (std::int64_t half = width / 2; half > 0; half /= 2)
    for (std::int64_t k = 0; k < half; ++k) acc[k] += acc[k + half];
  return acc[0] + rest;
}

template <class T, int length>
void short_sums(const T* x, const T* w, std::int64_t n, double scale, T* y) {
  for (std::int64_t o = 0; o < n; ++o) {
    double s = 0;
    for (int r = 0; r < length; ++r) s += term(x, w, o * length + r);
    y[o] = static_cast<T>(scale * s);
  }
}

// Many short contiguous sums.
template <class T>
void short_rows(const SumArgs& args) {
  const T* x = static_cast<const T*>(args.x);
  const T* w = static_cast<const T*>(args.w);
  T* y = static_cast<T*>(args.y);
  std::int64_t length = args.reduced;
  parallel_blocks(args.outer, piece / length, [=](std::int64_t begin, std::int64_t end) {
    const T* a = x + begin * length;
    const T* b = w ? w + begin * length : nullptr;
    std::int64_t n = end - begin;
    if (length == 1) return short_sums<T, 1>(a, b, n, args.scale, y + begin);
    if (length == 2) return short_sums<T, 2>(a, b, n, args.scale, y + begin);
    if (length == 3) return short_sums<T, 3>(a, b, n, args.scale, y + begin);
    if (length == 4) return short_sums<T, 4>(a, b, n, args.scale, y + begin);
    for (std::int64_t o = 0; o < n; ++o)
      y[begin + o] = static_cast<T>(args.scale * row_sum(a + o * length, b ? b + o * length : nullptr, length));
  });
}

// Sums of rows [row, row + rows) of one outer index, columns [column, column + count), into y or into the partial sums.
template <class T>
void block_sums(const SumArgs& args, std::int64_t o, std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t count,
                double* partial) {
  const T* x = static_cast<const T*>(args.x);
  const T* w = static_cast<const T*>(args.w);
  T* y = static_cast<T*>(args.y) + o * args.inner;
  double sums[strip];
  for (std::int64_t end = column + count; column < end; column += strip) {
    std::int64_t n = end - column < strip ? end - column : strip;
    std::int64_t start = (o * args.reduced + row) * args.inner + column;
    if (args.inner < narrow) narrow_columns(x + start, w ? w + start : nullptr, rows, n, sums);
    else columns(x + start, w ? w + start : nullptr, rows, args.inner, n, sums);
    if (partial) {
      std::memcpy(partial + column, sums, static_cast<std::size_t>(n) * sizeof(double));
    } else {
      for (std::int64_t k = 0; k < n; ++k) y[column + k] = static_cast<T>(args.scale * sums[k]);
    }
  }
}

template <class T>
void sum(const SumArgs& args) {
  if (args.inner == 1 && args.reduced < short_sum) return short_rows<T>(args);
  SumTiling tiling = sum_tiling(args);
  parallel_for(tiling.group_parts * tiling.row_parts * tiling.column_parts, [&](std::int64_t i) {
    std::int64_t column = i % tiling.column_parts * tiling.width, rest = i / tiling.column_parts;
    std::int64_t count = args.inner - column < tiling.width ? args.inner - column : tiling.width;
    std::int64_t part = rest % tiling.row_parts, row = part * tiling.height;
    std::int64_t rows = args.reduced - row < tiling.height ? args.reduced - row : tiling.height;
    std::int64_t o = rest / tiling.row_parts * tiling.group, last = o + tiling.group < args.outer ? o + tiling.group : args.outer;
    for (; o < last; ++o)
      block_sums<T>(args, o, row, rows, column, count,
                    tiling.row_parts > 1 ? args.partial + (o * tiling.row_parts + part) * args.inner : nullptr);
  });
  if (tiling.row_parts == 1) return;
  T* y = static_cast<T*>(args.y);
  parallel_blocks(args.outer * args.inner, piece / tiling.row_parts + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const double* p = args.partial + i / args.inner * tiling.row_parts * args.inner + i % args.inner;
      double s = 0;
      for (std::int64_t part = 0; part < tiling.row_parts; ++part) s += p[part * args.inner];
      y[i] = static_cast<T>(args.scale * s);
    }
  });
}

}  // namespace

void sum_cpu(const SumArgs& args) {
  if (args.f64) sum<double>(args);
  else sum<float>(args);
}

}  // namespace g2s::kernels::G2S_ISA
