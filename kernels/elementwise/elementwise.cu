// One thread an element. These are bound by memory: what counts is that neighbours read neighbours. Each operation is a kernel of its own, so that
// no other pays for the registers and the stack that sine and cosine need for large arguments.
#include <utility>

#include "engine/cuda/divisor.cuh"
#include "engine/cuda/launch.cuh"
#include "kernels/elementwise/elementwise_args.h"

namespace g2s::kernels {
namespace {

constexpr std::int64_t most_at_once = (std::int64_t{1} << 31) - 1;  // elements of a broadcast: they are counted in 32 bits

template <class T>
__device__ inline T sigmoid(T x) {
  const T t = std::exp(-std::abs(x)), s = 1 / (1 + t);
  return x >= 0 ? s : t * s;
}

template <class T>
__device__ inline T sign(T x) {
  return x > 0 ? T(1) : x < 0 ? T(-1) : x;
}

template <class T>
__device__ T unary(UnaryOp op, T x, T p, T q) {
  switch (op) {
    case UnaryOp::affine: return p * x + q;
    case UnaryOp::abs: return std::abs(x);
    case UnaryOp::sign: return sign(x);
    case UnaryOp::square: return x * x;
    case UnaryOp::sqrt: return std::sqrt(x);
    case UnaryOp::rsqrt: return 1 / std::sqrt(x);
    case UnaryOp::exp: return std::exp(x);
    case UnaryOp::log: return std::log(x);
    case UnaryOp::sin: return std::sin(x);
    case UnaryOp::cos: return std::cos(x);
    case UnaryOp::tanh: return std::tanh(x);
    case UnaryOp::sigmoid: return sigmoid(x);
    case UnaryOp::relu: return x < 0 ? T(0) : x;
    case UnaryOp::leaky_relu: return x > 0 ? x : p * x;
    case UnaryOp::clamp: return x < p ? p : x > q ? q : x;
    case UnaryOp::less: return x < p ? T(1) : T(0);
    case UnaryOp::greater_equal: return x >= p ? T(1) : T(0);
  }
  return x;
}

template <class T>
__device__ T binary(BinaryOp op, T a, T b, T p, T q) {
  switch (op) {
    case BinaryOp::add: return a + p * b;
    case BinaryOp::mul: return p * a * b;
    case BinaryOp::div: return p * a / b;
    case BinaryOp::mul_sign: return a * sign(b);
    case BinaryOp::mul_sin: return p * a * std::sin(b);
    case BinaryOp::mul_cos: return p * a * std::cos(b);
    case BinaryOp::relu_grad: return b > 0 ? a : T(0);
    case BinaryOp::leaky_grad: return a * (b > 0 ? T(1) : p);
    case BinaryOp::clamp_grad: return b >= p && b <= q ? a : T(0);
    case BinaryOp::rsqrt_grad: return T(-0.5) * a * b * (b * b);
    case BinaryOp::tanh_grad: return a * (1 - b * b);
    case BinaryOp::sigmoid_grad: return a * b * (1 - b);
  }
  return a;
}

struct Places {
  unsigned a, b;
};

// Where an element of y finds its operands. All is counted in 32 bits: a division of 64 would take longer than the memory.
struct BroadcastAxes {
  int rank;
  cuda::Divisor size[6];
  unsigned a_stride[6], b_stride[6];

  explicit BroadcastAxes(const BinaryArgs& g) : rank(g.rank) {
    for (int d = 0; d < rank; ++d) {
      size[d] = cuda::Divisor(g.size[d]);
      a_stride[d] = static_cast<unsigned>(g.a_stride[d]);
      b_stride[d] = static_cast<unsigned>(g.b_stride[d]);
    }
  }
  __device__ Places places(unsigned i) const {
    Places at{0, 0};
    for (int d = 0; d < rank; ++d) {
      const unsigned rest = size[d].quotient(i), k = i - rest * size[d].size;
      at.a += k * a_stride[d];
      at.b += k * b_stride[d];
      i = rest;
    }
    return at;
  }
};

template <class T, UnaryOp op>
void launch_unary(const UnaryArgs& g) {
  const auto* x = static_cast<const T*>(g.x);
  auto* y = static_cast<T*>(g.y);
  const T p = static_cast<T>(g.p), q = static_cast<T>(g.q);
  cuda::each("elementwise_unary", g.n, [=] __device__(std::int64_t i) { y[i] = unary(op, x[i], p, q); });
}

template <class T, BinaryOp op>
void launch_binary(const BinaryArgs& g) {
  const auto* a = static_cast<const T*>(g.a);
  const auto* b = static_cast<const T*>(g.b);
  auto* y = static_cast<T*>(g.y);
  const T p = static_cast<T>(g.p), q = static_cast<T>(g.q);
  if constexpr (broadcasts(op))
    if (g.rank > 1)
      return cuda::each("elementwise_broadcast", elements_of(g), [=, axes = BroadcastAxes(g)] __device__(std::int64_t i) {
        const Places at = axes.places(static_cast<unsigned>(i));
        y[i] = binary(op, a[at.a], b[at.b], p, q);
      });
  const std::int64_t a_step = g.a_stride[0], b_step = g.b_stride[0];
  cuda::each("elementwise_binary", g.size[0], [=] __device__(std::int64_t i) { y[i] = binary(op, a[i * a_step], b[i * b_step], p, q); });
}

// The instance of the operation: tables in the order of the enumerations.
template <class T, int... k>
void choose_unary(const UnaryArgs& g, std::integer_sequence<int, k...>) {
  static constexpr void (*launch[])(const UnaryArgs&) = {launch_unary<T, static_cast<UnaryOp>(k)>...};
  launch[static_cast<int>(g.op)](g);
}
template <class T, int... k>
void choose_binary(const BinaryArgs& g, std::integer_sequence<int, k...>) {
  static constexpr void (*launch[])(const BinaryArgs&) = {launch_binary<T, static_cast<BinaryOp>(k)>...};
  launch[static_cast<int>(g.op)](g);
}

using UnaryOps = std::make_integer_sequence<int, static_cast<int>(UnaryOp::greater_equal) + 1>;
using BinaryOps = std::make_integer_sequence<int, static_cast<int>(BinaryOp::sigmoid_grad) + 1>;

}  // namespace

void elementwise_unary_cuda(const UnaryArgs& g) { g.f64 ? choose_unary<double>(g, UnaryOps{}) : choose_unary<float>(g, UnaryOps{}); }
void elementwise_binary_cuda(const BinaryArgs& args) {
  in_parts(args, most_at_once, [](const BinaryArgs& g) { g.f64 ? choose_binary<double>(g, BinaryOps{}) : choose_binary<float>(g, BinaryOps{}); });
}

}  // namespace g2s::kernels
