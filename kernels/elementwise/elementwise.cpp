#include "kernels/elementwise/elementwise.h"

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise_args.h"
#include "kernels/reduce/reduce.h"

namespace g2s {
namespace {

using kernels::BinaryOp;
using kernels::UnaryOp;
using Gradients = std::vector<Tensor>;

Tensor unary(const char* name, UnaryOp op, const Tensor& x, double p = 0, double q = 0) {
  check(is_real(x.dtype()), name, "needs f32 or f64, got ", describe(x));
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  kernels::elementwise_unary(x.on_cuda(), {op, x.dtype() == DType::f64, x.numel(), x.raw(), y.mutable_raw(), p, q});
  return y;
}

// Strides of an operand as the output sees it, outermost dimension first.
void operand_strides(const Shape& operand, const Shape& out, std::int64_t* stride) {
  std::int64_t step = 1;
  for (int d = out.rank() - 1, s = operand.rank() - 1; d >= 0; --d, --s) {
    stride[d] = s >= 0 && operand[s] != 1 ? step : 0;
    if (s >= 0) step *= operand[s];
  }
}

void set_dimensions(kernels::BinaryArgs& args, const Shape& a, const Shape& b, const Shape& out) {
  std::int64_t a_stride[Shape::max_rank], b_stride[Shape::max_rank];
  operand_strides(a, out, a_stride);
  operand_strides(b, out, b_stride);
  int rank = 0;
  for (int d = out.rank() - 1; d >= 0; --d) {
    if (out[d] == 1) continue;
    int last = rank - 1;
    if (rank && a_stride[d] == args.a_stride[last] * args.size[last] && b_stride[d] == args.b_stride[last] * args.size[last]) {
      args.size[last] *= out[d];
      continue;
    }
    args.size[rank] = out[d];
    args.a_stride[rank] = a_stride[d];
    args.b_stride[rank++] = b_stride[d];
  }
  if (rank == 0) {  // one element
    args.size[0] = args.a_stride[0] = args.b_stride[0] = 1;
    rank = 1;
  }
  args.rank = rank;
}

Tensor binary(const char* name, BinaryOp op, const Tensor& a, const Tensor& b, double p = 1, double q = 0) {
  check(is_real(a.dtype()) && a.dtype() == b.dtype(), name, "needs two tensors of the same dtype, f32 or f64, got ", describe(a), " and ",
        describe(b));
  check(a.device() == b.device(), name, "operands on ", a.device(), " and ", b.device());
  Shape shape = a.shape() == b.shape() ? a.shape() : broadcast_shapes(name, a.shape(), b.shape());
  Tensor y = Tensor::empty(shape, a.dtype(), a.device());
  if (y.numel() == 0) return y;
  kernels::BinaryArgs args{op, a.dtype() == DType::f64, a.raw(), b.raw(), y.mutable_raw(), p, q, 0, {}, {}, {}};
  set_dimensions(args, a.shape(), b.shape(), shape);
  check(args.rank == 1 || kernels::broadcasts(op), name, "needs two tensors of one shape, got ", describe(a), " and ", describe(b));
  kernels::elementwise_binary(a.on_cuda(), args);
  return y;
}

// The gradient of an operand that may have been broadcast.
Tensor reduce_to(const Tensor& gradient, const Shape& shape) { return gradient.shape() == shape ? gradient : sum_to(gradient, shape); }

// a + p * b
Tensor add_scaled(const char* name, const Tensor& a, const Tensor& b, double p) {
  return record(binary(name, BinaryOp::add, a, b, p), name, {a, b}, [a = a.shape(), b = b.shape(), p](const BackwardArgs& g) {
    Tensor da, db;
    if (g.needs[0]) da = reduce_to(g.dy, a);
    if (g.needs[1]) db = affine(reduce_to(g.dy, b), p, 0);
    return Gradients{da, db};
  });
}

// p * a * b
Tensor mul_scaled(const Tensor& a, const Tensor& b, double p) {
  // A factor is kept only for the other one's gradient.
  BackwardFn fn = [a = will_record({&b}) ? a : Tensor{}, b = will_record({&a}) ? b : Tensor{}, a_shape = a.shape(), b_shape = b.shape(),
                   p](const BackwardArgs& g) {
    auto gradient = [&](const Shape& self, const Tensor& other) {
      if (self == g.dy.shape()) return mul_scaled(g.dy, other, p);
      if (other.shape() == g.dy.shape()) return affine(dot_to(g.dy, other, self), p, 0);
      return sum_to(mul_scaled(g.dy, other, p), self);
    };
    return Gradients{g.needs[0] ? gradient(a_shape, b) : Tensor{}, g.needs[1] ? gradient(b_shape, a) : Tensor{}};
  };
  return record(binary("mul", BinaryOp::mul, a, b, p), "mul", {a, b}, std::move(fn));
}

// p * a / b
Tensor div_scaled(const Tensor& a, const Tensor& b, double p) {
  BackwardFn fn = [a = a.shape(), b, p](const BackwardArgs& g) {
    Tensor da, db;
    if (g.needs[0]) da = reduce_to(div_scaled(g.dy, b, p), a);
    if (g.needs[1]) {  // -dy * y / b, reduced before the division
      Tensor product = b.shape() == g.y.shape() ? mul_scaled(g.dy, g.y, 1) : dot_to(g.dy, g.y, b.shape());
      db = div_scaled(product, b, -1);
    }
    return Gradients{da, db};
  };
  return record(binary("div", BinaryOp::div, a, b, p), "div", {a, b}, {std::move(fn), will_record({&b})});
}

// p * a * sin(b) and p * a * cos(b), the derivatives of each other.
Tensor mul_cos(const Tensor& a, const Tensor& b, double p);
Tensor mul_sin(const Tensor& a, const Tensor& b, double p) {
  return record(binary("sin", BinaryOp::mul_sin, a, b, p), "sin", {a, b}, [a, b, p](const BackwardArgs& g) {
    return Gradients{g.needs[0] ? mul_sin(g.dy, b, p) : Tensor{}, g.needs[1] ? mul_cos(mul(g.dy, a), b, p) : Tensor{}};
  });
}
Tensor mul_cos(const Tensor& a, const Tensor& b, double p) {
  return record(binary("cos", BinaryOp::mul_cos, a, b, p), "cos", {a, b}, [a, b, p](const BackwardArgs& g) {
    return Gradients{g.needs[0] ? mul_cos(g.dy, b, p) : Tensor{}, g.needs[1] ? mul_sin(mul(g.dy, a), b, -p) : Tensor{}};
  });
}

// The derivatives of rsqrt, tanh and sigmoid in terms of their results.
Tensor rsqrt_grad(const Tensor& dy, const Tensor& y) {
  return record(binary("rsqrt", BinaryOp::rsqrt_grad, dy, y), "rsqrt", {dy, y}, [dy, y](const BackwardArgs& g) {
    return Gradients{g.needs[0] ? rsqrt_grad(g.dy, y) : Tensor{}, g.needs[1] ? mul(mul_scaled(g.dy, dy, -1.5), square(y)) : Tensor{}};
  });
}
Tensor tanh_grad(const Tensor& dy, const Tensor& y) {
  return record(binary("tanh", BinaryOp::tanh_grad, dy, y), "tanh", {dy, y}, [dy, y](const BackwardArgs& g) {
    return Gradients{g.needs[0] ? tanh_grad(g.dy, y) : Tensor{}, g.needs[1] ? mul_scaled(mul(g.dy, dy), y, -2) : Tensor{}};
  });
}
Tensor sigmoid_grad(const Tensor& dy, const Tensor& y) {
  return record(binary("sigmoid", BinaryOp::sigmoid_grad, dy, y), "sigmoid", {dy, y}, [dy, y](const BackwardArgs& g) {
    return Gradients{g.needs[0] ? sigmoid_grad(g.dy, y) : Tensor{}, g.needs[1] ? mul(mul(g.dy, dy), affine(y, -2, 1)) : Tensor{}};
  });
}

// Gradients of piecewise linear functions: linear in dy; `by` decides the piece and is no part of the graph.
Tensor piecewise_grad(const char* name, BinaryOp op, const Tensor& dy, const Tensor& by, double p = 0, double q = 0) {
  return record(binary(name, op, dy, by, p, q), name, {dy},
                [=](const BackwardArgs& g) { return Gradients{piecewise_grad(name, op, g.dy, by, p, q)}; });
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) { return add_scaled("add", a, b, 1); }
Tensor sub(const Tensor& a, const Tensor& b) { return add_scaled("sub", a, b, -1); }
Tensor mul(const Tensor& a, const Tensor& b) { return mul_scaled(a, b, 1); }
Tensor div(const Tensor& a, const Tensor& b) { return div_scaled(a, b, 1); }

Tensor affine(const Tensor& x, double scale, double offset) {
  return record(unary("affine", UnaryOp::affine, x, scale, offset), "affine", {x},
                [scale](const BackwardArgs& g) { return Gradients{scale == 1 ? g.dy : affine(g.dy, scale, 0)}; });
}

Tensor abs(const Tensor& x) {
  return record(unary("abs", UnaryOp::abs, x), "abs", {x},
                [x = x.detach()](const BackwardArgs& g) { return Gradients{piecewise_grad("abs", BinaryOp::mul_sign, g.dy, x)}; });
}

Tensor sign(const Tensor& x) {
  return record(unary("sign", UnaryOp::sign, x), "sign", {x},
                [](const BackwardArgs& g) { return Gradients{Tensor::zeros(g.dy.shape(), g.dy.dtype(), g.dy.device())}; });
}

Tensor square(const Tensor& x) {
  return record(unary("square", UnaryOp::square, x), "square", {x}, [x](const BackwardArgs& g) { return Gradients{mul_scaled(g.dy, x, 2)}; });
}

Tensor sqrt(const Tensor& x) {
  return record(unary("sqrt", UnaryOp::sqrt, x), "sqrt", {x}, [](const BackwardArgs& g) { return Gradients{div_scaled(g.dy, g.y, 0.5)}; }, true);
}

Tensor rsqrt(const Tensor& x) {
  return record(unary("rsqrt", UnaryOp::rsqrt, x), "rsqrt", {x}, [](const BackwardArgs& g) { return Gradients{rsqrt_grad(g.dy, g.y)}; }, true);
}

Tensor exp(const Tensor& x) {
  return record(unary("exp", UnaryOp::exp, x), "exp", {x}, [](const BackwardArgs& g) { return Gradients{mul(g.dy, g.y)}; }, true);
}

Tensor log(const Tensor& x) {
  return record(unary("log", UnaryOp::log, x), "log", {x}, [x](const BackwardArgs& g) { return Gradients{div(g.dy, x)}; });
}

Tensor sin(const Tensor& x) {
  return record(unary("sin", UnaryOp::sin, x), "sin", {x}, [x](const BackwardArgs& g) { return Gradients{mul_cos(g.dy, x, 1)}; });
}

Tensor cos(const Tensor& x) {
  return record(unary("cos", UnaryOp::cos, x), "cos", {x}, [x](const BackwardArgs& g) { return Gradients{mul_sin(g.dy, x, -1)}; });
}

Tensor tanh(const Tensor& x) {
  return record(unary("tanh", UnaryOp::tanh, x), "tanh", {x}, [](const BackwardArgs& g) { return Gradients{tanh_grad(g.dy, g.y)}; }, true);
}

Tensor sigmoid(const Tensor& x) {
  return record(unary("sigmoid", UnaryOp::sigmoid, x), "sigmoid", {x}, [](const BackwardArgs& g) { return Gradients{sigmoid_grad(g.dy, g.y)}; },
                true);
}

Tensor relu(const Tensor& x) {
  return record(unary("relu", UnaryOp::relu, x), "relu", {x},
                [](const BackwardArgs& g) { return Gradients{piecewise_grad("relu", BinaryOp::relu_grad, g.dy, g.y.detach())}; }, true);
}

Tensor leaky_relu(const Tensor& x, double slope) {
  if (slope < 0) fail(Errc::invalid_argument, "leaky_relu", "slope ", slope, " is negative (x ", describe(x), ")");
  BackwardFn fn = [slope](const BackwardArgs& g) {
    // y is positive exactly where x is.
    return Gradients{piecewise_grad("leaky_relu", BinaryOp::leaky_grad, g.dy, g.y.detach(), slope)};
  };
  return record(unary("leaky_relu", UnaryOp::leaky_relu, x, slope), "leaky_relu", {x}, {std::move(fn), true});
}

Tensor clamp(const Tensor& x, double lo, double hi) {
  if (!(lo <= hi)) fail(Errc::invalid_argument, "clamp", "bounds ", lo, " and ", hi, " (x ", describe(x), ")");
  return record(unary("clamp", UnaryOp::clamp, x, lo, hi), "clamp", {x}, [x = x.detach(), lo, hi](const BackwardArgs& g) {
    return Gradients{piecewise_grad("clamp", BinaryOp::clamp_grad, g.dy, x, lo, hi)};
  });
}

Tensor less(const Tensor& x, double bound) { return unary("less", UnaryOp::less, x, bound); }
Tensor greater_equal(const Tensor& x, double bound) { return unary("greater_equal", UnaryOp::greater_equal, x, bound); }

}  // namespace g2s
