#include "engine/parallel.h"
#include "kernels/elementwise/elementwise_args.h"
#include "kernels/vector_math.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t block = 1 << 15;   // elements of one piece of work
constexpr std::int64_t chunk = 1 << 10;   // elements that are expanded at once from a broadcast operand
constexpr std::int64_t short_row = 64;    // rows below this are expanded

template <class T, class F>
void loop(const T* a, bool a_vector, const T* b, bool b_vector, T* y, std::int64_t n, F f) {
  if (a_vector && b_vector) {
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i]);
  } else if (a_vector) {
    T s = *b;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = f(a[i], s);
  } else {
    T s = *a;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = f(s, b[i]);
  }
}

// y = a * p * f(b), where f has a vector form.
template <class F>
void loop_mapped(const float* a, const float* b, float p, float* y, std::int64_t n, F f) {
  float mapped[chunk];
  for (std::int64_t begin = 0; begin < n; begin += chunk) {
    std::int64_t m = n - begin < chunk ? n - begin : chunk;
    f(b + begin, mapped, m);
#pragma omp simd
    for (std::int64_t i = 0; i < m; ++i) y[begin + i] = p * a[begin + i] * mapped[i];
  }
}

void dear_row(const BinaryArgs& g, const float* a, const float* b, float* y, std::int64_t n) {
  float p = static_cast<float>(g.p);
  switch (g.op) {
    case BinaryOp::mul_sin: return loop_mapped(a, b, p, y, n, [](const float* x, float* r, std::int64_t m) { map_sin(x, r, m); });
    case BinaryOp::mul_cos: return loop_mapped(a, b, p, y, n, [](const float* x, float* r, std::int64_t m) { map_cos(x, r, m); });
    default: return;
  }
}

void dear_row(const BinaryArgs& g, const double* a, const double* b, double* y, std::int64_t n) {
  switch (g.op) {
    case BinaryOp::mul_sin:
      for (std::int64_t i = 0; i < n; ++i) y[i] = g.p * a[i] * ::sin(b[i]);
      return;
    case BinaryOp::mul_cos:
      for (std::int64_t i = 0; i < n; ++i) y[i] = g.p * a[i] * ::cos(b[i]);
      return;
    default: return;
  }
}

// n consecutive outputs; an operand is a vector of n or one value.
template <class T>
void row(const BinaryArgs& g, const T* a, bool av, const T* b, bool bv, T* y, std::int64_t n) {
  T p = static_cast<T>(g.p), q = static_cast<T>(g.q);
  switch (g.op) {
    case BinaryOp::add:
      if (p == 1) return loop(a, av, b, bv, y, n, [](T u, T v) { return u + v; });
      if (p == -1) return loop(a, av, b, bv, y, n, [](T u, T v) { return u - v; });
      return loop(a, av, b, bv, y, n, [p](T u, T v) { return u + p * v; });
    case BinaryOp::mul:
      if (p == 1) return loop(a, av, b, bv, y, n, [](T u, T v) { return u * v; });
      return loop(a, av, b, bv, y, n, [p](T u, T v) { return p * u * v; });
    case BinaryOp::div:
      if (p == 1) return loop(a, av, b, bv, y, n, [](T u, T v) { return u / v; });
      return loop(a, av, b, bv, y, n, [p](T u, T v) { return p * u / v; });
    case BinaryOp::mul_sign: return loop(a, av, b, bv, y, n, [](T u, T v) { return u * (v > 0 ? T(1) : v < 0 ? T(-1) : v); });
    case BinaryOp::relu_grad: return loop(a, av, b, bv, y, n, [](T u, T v) { return v > 0 ? u : T(0); });
    case BinaryOp::leaky_grad: return loop(a, av, b, bv, y, n, [p](T u, T v) { return u * (v > 0 ? T(1) : p); });
    case BinaryOp::clamp_grad: return loop(a, av, b, bv, y, n, [p, q](T u, T v) { return (v >= p) & (v <= q) ? u : T(0); });
    case BinaryOp::rsqrt_grad: return loop(a, av, b, bv, y, n, [](T u, T v) { return T(-0.5) * u * v * (v * v); });
    case BinaryOp::tanh_grad: return loop(a, av, b, bv, y, n, [](T u, T v) { return u * (1 - v * v); });
    case BinaryOp::sigmoid_grad: return loop(a, av, b, bv, y, n, [](T u, T v) { return u * v * (1 - v); });
    default: return dear_row(g, a, b, y, n);
  }
}

// One operand of a broadcast operation.
template <class T>
struct Operand {
  const T* data;
  const std::int64_t* stride;
  bool full, periodic;

  Operand(const void* p, const std::int64_t* strides, const BinaryArgs& g) : data(static_cast<const T*>(p)), stride(strides) {
    full = periodic = stride[0] == 1;
    for (int d = 1; d < g.rank; ++d) {
      full = full && stride[d] == stride[d - 1] * g.size[d - 1];
      periodic = periodic && stride[d] == 0;
    }
  }

  const T* row_start(const BinaryArgs& g, std::int64_t r) const {
    std::int64_t offset = 0;
    for (int d = 1; d < g.rank; ++d) {
      offset += r % g.size[d] * stride[d];
      r /= g.size[d];
    }
    return data + offset;
  }

  // Writes rows [r, r + rows) as the output sees them.
  void expand(const BinaryArgs& g, std::int64_t r, std::int64_t rows, T* out) const {
    std::int64_t length = g.size[0];
    while (rows > 0) {
      std::int64_t left = g.size[1] - r % g.size[1], run = rows < left ? rows : left;
      const T* from = row_start(g, r);
      if (stride[0] == 0 && length == 2) repeat<2>(from, run, out);
      else if (stride[0] == 0 && length == 3) repeat<3>(from, run, out);
      else if (stride[0] == 0 && length == 4) repeat<4>(from, run, out);
      else
        for (std::int64_t i = 0; i < run; ++i)
          for (std::int64_t j = 0; j < length; ++j) out[i * length + j] = from[i * stride[1] + j * stride[0]];
      out += run * length;
      r += run;
      rows -= run;
    }
  }

 private:
  template <int length>
  void repeat(const T* from, std::int64_t run, T* out) const {
    for (std::int64_t i = 0; i < run; ++i)
      for (int j = 0; j < length; ++j) out[i * length + j] = from[i * stride[1]];
  }
};

template <class T>
void short_rows(const BinaryArgs& g, std::int64_t rows) {
  Operand<T> a(g.a, g.a_stride, g), b(g.b, g.b_stride, g);
  std::int64_t length = g.size[0], step = chunk / length;
  parallel_blocks(rows, block / length, [&, length, step](std::int64_t begin, std::int64_t end) {
    T a_rows[chunk], b_rows[chunk];
    if (a.periodic) a.expand(g, begin, step, a_rows);
    if (b.periodic) b.expand(g, begin, step, b_rows);
    for (std::int64_t r = begin; r < end; r += step) {
      std::int64_t m = end - r < step ? end - r : step;
      if (!a.full && !a.periodic) a.expand(g, r, m, a_rows);
      if (!b.full && !b.periodic) b.expand(g, r, m, b_rows);
      row<T>(g, a.full ? a.data + r * length : a_rows, true, b.full ? b.data + r * length : b_rows, true,
             static_cast<T*>(g.y) + r * length, m * length);
    }
  });
}

template <class T>
void long_rows(const BinaryArgs& g, std::int64_t rows) {
  Operand<T> a(g.a, g.a_stride, g), b(g.b, g.b_stride, g);
  std::int64_t length = g.size[0];
  bool av = g.a_stride[0] != 0, bv = g.b_stride[0] != 0;
  auto part = [&, length, av, bv](std::int64_t r, std::int64_t begin, std::int64_t end) {
    row<T>(g, a.row_start(g, r) + (av ? begin : 0), av, b.row_start(g, r) + (bv ? begin : 0), bv,
           static_cast<T*>(g.y) + r * length + begin, end - begin);
  };
  if (length >= block) {
    std::int64_t parts = (length + block - 1) / block;
    parallel_for(rows * parts, [&, length, parts](std::int64_t i) {
      std::int64_t begin = i % parts * block, end = begin + block;
      part(i / parts, begin, end < length ? end : length);
    });
  } else {
    parallel_blocks(rows, block / length, [&, length](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) part(r, 0, length);
    });
  }
}

template <class T>
void binary(const BinaryArgs& g) {
  std::int64_t rows = 1;
  for (int d = 1; d < g.rank; ++d) rows *= g.size[d];
  if (rows > 1 && g.size[0] < short_row) short_rows<T>(g, rows);
  else long_rows<T>(g, rows);
}

}  // namespace

void elementwise_binary_cpu(const BinaryArgs& args) {
  if (args.f64) binary<double>(args);
  else binary<float>(args);
}

}  // namespace g2s::kernels::G2S_ISA
