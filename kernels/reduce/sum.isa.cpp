// Sums run in double, in an order that the sizes alone decide: rows are summed in groups into partial sums, then these in order.
#include <cstring>

#include "engine/parallel.h"
#include "kernels/reduce/reduce_args.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t tile = 32;            // columns summed in registers
constexpr std::int64_t strip = 512;          // columns summed at once
constexpr std::int64_t piece = 1 << 16;      // elements of one piece of work
constexpr std::int64_t narrow = 4 * tile;    // rows below this are joined, `tile` of them to a row
constexpr std::int64_t short_sum = 64;       // a contiguous sum below this is one plain loop

template <class T>
double term(const T* x, const T* w, std::int64_t i) {
  return w ? static_cast<double>(x[i]) * static_cast<double>(w[i]) : static_cast<double>(x[i]);
}

// sums[0, columns) = column sums of `rows` rows that lie `pitch` apart.
template <bool weighted, class T>
void column_tile(const T* x, const T* w, std::int64_t rows, std::int64_t pitch, double* sums) {
  double acc[tile] = {};
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* a = x + r * pitch;
    const T* b = weighted ? w + r * pitch : nullptr;
#pragma omp simd
    for (std::int64_t c = 0; c < tile; ++c)
      acc[c] += weighted ? static_cast<double>(a[c]) * static_cast<double>(b[c]) : static_cast<double>(a[c]);
  }
  std::memcpy(sums, acc, sizeof acc);
}

template <class T>
void columns(const T* x, const T* w, std::int64_t rows, std::int64_t pitch, std::int64_t count, double* sums) {
  std::int64_t c = 0;
  for (; c + tile <= count; c += tile) {
    if (w) column_tile<true>(x + c, w + c, rows, pitch, sums + c);
    else column_tile<false>(x + c, w, rows, pitch, sums + c);
  }
  if (c == count) return;
  for (std::int64_t k = c; k < count; ++k) sums[k] = 0;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t k = c; k < count; ++k) sums[k] += term(x, w, r * pitch + k);
}

// The same for rows without gaps that are narrower than a few tiles: `tile` rows are read as one.
template <class T>
void narrow_columns(const T* x, const T* w, std::int64_t rows, std::int64_t count, double* sums) {
  double joined[tile * narrow];
  std::int64_t groups = rows / tile, done = groups * tile;
  for (std::int64_t k = 0; k < count; ++k) sums[k] = 0;
  if (groups) {
    columns(x, w, groups, tile * count, tile * count, joined);
    for (std::int64_t r = 0; r < tile; ++r)
      for (std::int64_t k = 0; k < count; ++k) sums[k] += joined[r * count + k];
  }
  for (std::int64_t r = done; r < rows; ++r)
    for (std::int64_t k = 0; k < count; ++k) sums[k] += term(x, w, r * count + k);
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
  parallel_blocks(args.outer, piece / (length + 1), [=](std::int64_t begin, std::int64_t end) {
    const T* a = x + begin * length;
    const T* b = w ? w + begin * length : nullptr;
    std::int64_t n = end - begin;
    if (length == 1) return short_sums<T, 1>(a, b, n, args.scale, y + begin);
    if (length == 2) return short_sums<T, 2>(a, b, n, args.scale, y + begin);
    if (length == 3) return short_sums<T, 3>(a, b, n, args.scale, y + begin);
    if (length == 4) return short_sums<T, 4>(a, b, n, args.scale, y + begin);
    for (std::int64_t o = 0; o < n; ++o) {
      double s = 0;
#pragma omp simd reduction(+ : s)
      for (std::int64_t r = 0; r < length; ++r) s += term(a, b, o * length + r);
      y[begin + o] = static_cast<T>(args.scale * s);
    }
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
  SumCut cut = sum_cut(args);
  parallel_for(cut.group_parts * cut.row_parts * cut.column_parts, [&](std::int64_t i) {
    std::int64_t column = i % cut.column_parts * cut.width, rest = i / cut.column_parts;
    std::int64_t count = args.inner - column < cut.width ? args.inner - column : cut.width;
    std::int64_t part = rest % cut.row_parts, row = part * cut.height;
    std::int64_t rows = args.reduced - row < cut.height ? args.reduced - row : cut.height;
    std::int64_t o = rest / cut.row_parts * cut.group, last = o + cut.group < args.outer ? o + cut.group : args.outer;
    for (; o < last; ++o)
      block_sums<T>(args, o, row, rows, column, count, cut.row_parts > 1 ? args.partial + (o * cut.row_parts + part) * args.inner : nullptr);
  });
  if (cut.row_parts == 1) return;
  T* y = static_cast<T*>(args.y);
  parallel_blocks(args.outer * args.inner, piece / cut.row_parts + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const double* p = args.partial + i / args.inner * cut.row_parts * args.inner + i % args.inner;
      double s = 0;
      for (std::int64_t part = 0; part < cut.row_parts; ++part) s += p[part * args.inner];
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
