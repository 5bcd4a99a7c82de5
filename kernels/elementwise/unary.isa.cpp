#include "engine/parallel.h"
#include "kernels/elementwise/elementwise_args.h"
#include "kernels/vector_math.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t block = 1 << 15;       // elements of one piece of cheap work
constexpr std::int64_t dear_block = 1 << 13;  // and where an element costs more than its memory traffic

template <class T, class F>
void each(const UnaryArgs& args, F f) {
  const T* x = static_cast<const T*>(args.x);
  T* y = static_cast<T*>(args.y);
  parallel_blocks(args.n, block, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
  });
}

template <class F>
void each_vector(const UnaryArgs& args, F f) {
  const float* x = static_cast<const float*>(args.x);
  float* y = static_cast<float*>(args.y);
  parallel_blocks(args.n, dear_block, [=](std::int64_t begin, std::int64_t end) { f(x + begin, y + begin, end - begin); });
}

template <class F>
void each_double(const UnaryArgs& args, F f) {
  const double* x = static_cast<const double*>(args.x);
  double* y = static_cast<double*>(args.y);
  parallel_blocks(args.n, dear_block, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
  });
}

template <class T>
T magnitude(T x) {
  if constexpr (sizeof(T) == 4) return __builtin_fabsf(x);
  else return __builtin_fabs(x);
}
template <class T>
T root(T x) {
  if constexpr (sizeof(T) == 4) return __builtin_sqrtf(x);
  else return __builtin_sqrt(x);
}

// What the compiler vectorises by itself.
template <class T>
void simple(const UnaryArgs& args) {
  T p = static_cast<T>(args.p), q = static_cast<T>(args.q);
  switch (args.op) {
    case UnaryOp::affine:
      if (q == 0) return each<T>(args, [p](T x) { return p * x; });
      return each<T>(args, [p, q](T x) { return p * x + q; });
    case UnaryOp::abs: return each<T>(args, [](T x) { return magnitude(x); });
    case UnaryOp::sign: return each<T>(args, [](T x) { return x > 0 ? T(1) : x < 0 ? T(-1) : x; });  // keeps NaN
    case UnaryOp::square: return each<T>(args, [](T x) { return x * x; });
    case UnaryOp::sqrt: return each<T>(args, [](T x) { return root(x); });
    case UnaryOp::rsqrt: return each<T>(args, [](T x) { return 1 / root(x); });
    case UnaryOp::relu: return each<T>(args, [](T x) { return x < 0 ? T(0) : x; });
    case UnaryOp::leaky_relu: return each<T>(args, [p](T x) { return (x > 0 ? x : T(0)) + p * (x > 0 ? T(0) : x); });
    case UnaryOp::clamp: return each<T>(args, [p, q](T x) { T v = x < p ? p : x; return v > q ? q : v; });
    case UnaryOp::less: return each<T>(args, [p](T x) { return x < p ? T(1) : T(0); });
    case UnaryOp::greater_equal: return each<T>(args, [p](T x) { return x >= p ? T(1) : T(0); });
    default: return;
  }
}

void transcendental(const UnaryArgs& args) {
  switch (args.op) {
    case UnaryOp::exp: return each_vector(args, [](const float* x, float* y, std::int64_t n) { map(x, y, n, [](VecF v) { return exp(v); }); });
    case UnaryOp::log: return each_vector(args, [](const float* x, float* y, std::int64_t n) { map(x, y, n, [](VecF v) { return log(v); }); });
    case UnaryOp::sin: return each_vector(args, [](const float* x, float* y, std::int64_t n) { map_sin(x, y, n); });
    case UnaryOp::cos: return each_vector(args, [](const float* x, float* y, std::int64_t n) { map_cos(x, y, n); });
    case UnaryOp::tanh: return each_vector(args, [](const float* x, float* y, std::int64_t n) { map(x, y, n, [](VecF v) { return tanh(v); }); });
    case UnaryOp::sigmoid:
      return each_vector(args, [](const float* x, float* y, std::int64_t n) { map(x, y, n, [](VecF v) { return sigmoid(v); }); });
    default: return;
  }
}

void transcendental_f64(const UnaryArgs& args) {
  switch (args.op) {
    case UnaryOp::exp: return each_double(args, [](double x) { return ::exp(x); });
    case UnaryOp::log: return each_double(args, [](double x) { return ::log(x); });
    case UnaryOp::sin: return each_double(args, [](double x) { return ::sin(x); });
    case UnaryOp::cos: return each_double(args, [](double x) { return ::cos(x); });
    case UnaryOp::tanh: return each_double(args, [](double x) { return ::tanh(x); });
    case UnaryOp::sigmoid: return each_double(args, [](double x) {
        double t = ::exp(-__builtin_fabs(x)), s = 1 / (1 + t);
        return x >= 0 ? s : t * s;
      });
    default: return;
  }
}

bool is_transcendental(UnaryOp op) { return op >= UnaryOp::exp && op <= UnaryOp::sigmoid; }

}  // namespace

void elementwise_unary_cpu(const UnaryArgs& args) {
  if (!is_transcendental(args.op)) return args.f64 ? simple<double>(args) : simple<float>(args);
  if (args.f64) transcendental_f64(args);
  else transcendental(args);
}

}  // namespace g2s::kernels::G2S_ISA
