#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

enum class UnaryOp : std::int32_t {
  affine,  // p * x + q
  abs,
  sign,
  square,
  sqrt,
  rsqrt,
  exp,
  log,
  sin,
  cos,
  tanh,
  sigmoid,
  relu,
  leaky_relu,     // x or p * x
  clamp,          // to [p, q]
  less,           // x < p ? 1 : 0
  greater_equal,  // x >= p ? 1 : 0
};

struct UnaryArgs {
  UnaryOp op;
  bool f64;        // double, else float
  std::int64_t n;  // elements
  const void* x;
  void* y;
  double p, q;  // constants of the operation, where it has any
};

enum class BinaryOp : std::int32_t {
  add,            // a + p * b
  mul,            // p * a * b
  div,            // p * a / b
  mul_sign,       // a * sign(b)
  mul_sin,        // p * a * sin(b)
  mul_cos,        // p * a * cos(b)
  relu_grad,      // b > 0 ? a : 0
  leaky_grad,     // b > 0 ? a : p * a
  clamp_grad,     // p <= b <= q ? a : 0
  rsqrt_grad,     // -a * b^3 / 2
  tanh_grad,      // a * (1 - b^2)
  sigmoid_grad,   // a * b * (1 - b)
};

struct BinaryArgs {
  BinaryOp op;
  bool f64;  // double, else float
  const void* a;
  const void* b;
  void* y;      // contiguous
  double p, q;  // constants of the operation, where it has any
  // Dimensions of y, innermost first, merged where both operands allow it. Only add, mul and div broadcast; the others have rank 1.
  std::int32_t rank;
  std::int64_t size[6];
  std::int64_t a_stride[6];  // elements; 0 where the operand is broadcast
  std::int64_t b_stride[6];
};

static constexpr bool broadcasts(BinaryOp op) { return op == BinaryOp::add || op == BinaryOp::mul || op == BinaryOp::div; }

static constexpr std::int64_t elements_of(const BinaryArgs& g) {
  std::int64_t count = 1;
  for (int d = 0; d < g.rank; ++d) count *= g.size[d];
  return count;
}

// Calls f with parts of g, along its outermost dimensions, that together are g. Each has at most `most` elements, or only one dimension.
template <class F>
void in_parts(BinaryArgs g, std::int64_t most, F f) {
  if (g.rank == 1 || elements_of(g) <= most) return f(g);
  const int last = --g.rank;
  const std::int64_t bytes = g.f64 ? 8 : 4, step = elements_of(g);
  for (std::int64_t k = 0; k < g.size[last]; ++k) {
    in_parts(g, most, f);
    g.a = static_cast<const char*>(g.a) + g.a_stride[last] * bytes;
    g.b = static_cast<const char*>(g.b) + g.b_stride[last] * bytes;
    g.y = static_cast<char*>(g.y) + step * bytes;
  }
}

G2S_KERNEL(elementwise_unary, UnaryArgs)
G2S_KERNEL(elementwise_binary, BinaryArgs)

}  // namespace g2s::kernels
