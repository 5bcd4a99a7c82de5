#include "kernels/depthwise_conv/depthwise_conv.h"

#include "engine/autograd.h"
#include "engine/multiply_adds.h"
#include "kernels/depthwise_conv/depthwise_conv_args.h"

namespace g2s {
namespace {

void require_image(const char* op, const char* name, const Tensor& t) {
  check(t.defined() && t.rank() == 4, op, name, " must be [B,H,W,C], got ", t.defined() ? describe(t) : "an undefined tensor");
  if (!is_real(t.dtype())) fail(Errc::invalid_argument, op, name, " must be f32 or f64, got ", describe(t));
}

// That t has that shape, and else is like x.
void require_like(const char* op, const Tensor& x, const char* name, const Tensor& t, const Shape& shape) {
  check(t.defined() && t.shape() == shape && t.dtype() == x.dtype(), op, name, " ", t.defined() ? describe(t) : "undefined",
        " does not fit x ", describe(x));
  check(t.device() == x.device(), op, name, " is on ", t.device(), ", x on ", x.device());
}

void require_operands(const char* op, const Tensor& x, const Tensor& w) {
  require_image(op, "x", x);
  require_like(op, x, "w", w, {3, 3, x.dim(3)});
}

void require_style(const char* op, const Tensor& x, const Tensor& style) { require_like(op, x, "style", style, {x.dim(0), x.dim(3)}); }

void count_work(const Tensor& x) { count_multiply_adds(9 * x.numel()); }

Tensor empty_like(const Tensor& t) { return Tensor::empty(t.shape(), t.dtype(), t.device()); }

// What is read outside a picture: kernels of the CPU look there.
Tensor zeros_for(const Tensor& x) { return x.on_cuda() ? Tensor{} : Tensor::zeros({x.dim(3)}, x.dtype(), x.device()); }

template <class T>
const T* data_or_null(const Tensor& t) { return t.defined() ? t.ptr<T>() : nullptr; }
template <class T>
T* out_or_null(Tensor& t) { return t.defined() ? t.mutable_ptr<T>() : nullptr; }

template <class T>
void launch(const Tensor& x, const Tensor& style, const Tensor& w, bool turned, Tensor& y) {
  Tensor styled, zeros = zeros_for(x);
  if (style.defined() && !x.on_cuda()) styled = Tensor::empty({x.dim(0), 9, x.dim(3)}, x.dtype(), x.device());
  kernels::depthwise_conv(x.on_cuda(), {x.ptr<T>(), w.ptr<T>(), data_or_null<T>(style), out_or_null<T>(styled), data_or_null<T>(zeros),
                                        y.mutable_ptr<T>(), x.dim(0), x.dim(1), x.dim(2), x.dim(3), turned});
}

Tensor convolved(const Tensor& x, const Tensor& style, const Tensor& w, bool turned) {
  Tensor y = empty_like(x);
  count_work(x);
  if (x.dtype() == DType::f64) launch<double>(x, style, w, turned, y);
  else launch<float>(x, style, w, turned, y);
  return y;
}

// What a derivative keeps of one factor: nothing where the other has no gradient.
Tensor kept_for(const Tensor& other, const Tensor& factor) { return other.requires_grad() ? factor : Tensor{}; }

// The convolution, or with `turned` its adjoint. Each is the other's gradient to x.
Tensor conv(const char* op, const Tensor& x, const Tensor& w, bool turned) {
  return record(convolved(x, {}, w, turned), op, {x, w}, [=, x = kept_for(w, x), w = kept_for(x, w)](const BackwardArgs& a) {
    std::vector<Tensor> d(2);
    if (a.needs[0]) d[0] = turned ? depthwise_conv2d(a.dy, w) : depthwise_conv_transpose2d(a.dy, w);
    if (a.needs[1]) d[1] = turned ? depthwise_conv2d_weight_grad(a.dy, x) : depthwise_conv2d_weight_grad(x, a.dy);
    return d;
  });
}

Tensor times_style(const Tensor& x, const Tensor& style) { return bias_act(x, {.scale = style, .slope = 1}); }

template <class T>
ScaleGradients style_gradients_cpu(const Tensor& dy, const Tensor& x, const Tensor& style, const Tensor& w, bool to_x, bool to_style) {
  const std::int64_t batch = dy.dim(0), rows = dy.dim(1), columns = dy.dim(2), channels = dy.dim(3);
  const Tensor zeros = zeros_for(dy);
  ScaleGradients g;
  Tensor partial;
  if (to_x) g.dx = empty_like(dy);
  if (to_style) {
    g.dscale = empty_like(style);
    partial = Tensor::empty({batch, kernels::depthwise_pieces(rows, columns, channels), channels}, dy.dtype(), dy.device());
  }
  count_work(dy);
  kernels::depthwise_style_grad_cpu({dy.ptr<T>(), to_style ? x.ptr<T>() : nullptr, w.ptr<T>(), style.ptr<T>(), zeros.ptr<T>(),
                                     out_or_null<T>(g.dx), out_or_null<T>(g.dscale), out_or_null<T>(partial), batch, rows, columns,
                                     channels});
  return g;
}

template <class T>
void weight_grad(const Tensor& x, const Tensor& dy, Tensor& dw) {
  const std::int64_t batch = x.dim(0), rows = x.dim(1), columns = x.dim(2), channels = x.dim(3);
  const std::int64_t parts = x.on_cuda() ? rows : kernels::depthwise_pieces(rows, columns, channels);
  Tensor partial = Tensor::empty({batch, parts, 9, channels}, x.dtype(), x.device()), zeros = zeros_for(x);
  kernels::depthwise_weight_grad(x.on_cuda(), {x.ptr<T>(), dy.ptr<T>(), data_or_null<T>(zeros), dw.mutable_ptr<T>(),
                                               partial.mutable_ptr<T>(), batch, rows, columns, channels});
}

}  // namespace

Tensor depthwise_conv2d(const Tensor& x, const Tensor& w) {
  const char* op = "depthwise_conv2d";
  require_operands(op, x, w);
  return conv(op, x, w, false);
}

Tensor depthwise_conv_transpose2d(const Tensor& x, const Tensor& w) {
  const char* op = "depthwise_conv_transpose2d";
  require_operands(op, x, w);
  return conv(op, x, w, true);
}

Tensor depthwise_conv2d_modulated(const Tensor& x, const Tensor& style, const Tensor& w) {
  const char* op = "depthwise_conv2d_modulated";
  require_operands(op, x, w);
  require_style(op, x, style);
  return record(convolved(x, style, w, false), op, {x, style, w},
                [=, x = will_record({&style, &w}) ? x : Tensor{}, w = will_record({&x, &style}) ? w : Tensor{}](const BackwardArgs& a) {
                  ScaleGradients g;
                  if (a.needs[0] || a.needs[1]) g = depthwise_conv2d_modulated_gradients(a.dy, x, style, w, a.needs[0], a.needs[1]);
                  Tensor dw;
                  if (a.needs[2]) dw = depthwise_conv2d_weight_grad(times_style(x, style), a.dy);
                  return std::vector<Tensor>{g.dx, g.dscale, dw};
                });
}

ScaleGradients depthwise_conv2d_modulated_gradients(const Tensor& dy, const Tensor& x, const Tensor& style, const Tensor& w, bool to_x,
                                                    bool to_style) {
  const char* op = "depthwise_conv2d_modulated_gradients";
  require_operands(op, dy, w);
  require_style(op, dy, style);
  if (to_style) require_like(op, dy, "x", x, dy.shape());
  if (grad_enabled() || dy.on_cuda()) return bias_act_scale_gradients(depthwise_conv_transpose2d(dy, w), x, style, to_x, to_style);
  return dy.dtype() == DType::f64 ? style_gradients_cpu<double>(dy, x, style, w, to_x, to_style)
                                  : style_gradients_cpu<float>(dy, x, style, w, to_x, to_style);
}

Tensor depthwise_conv2d_weight_grad(const Tensor& x, const Tensor& dy) {
  const char* op = "depthwise_conv2d_weight_grad";
  require_image(op, "x", x);
  require_like(op, x, "dy", dy, x.shape());
  Tensor dw = Tensor::empty({3, 3, x.dim(3)}, x.dtype(), x.device());
  count_work(x);
  if (x.dtype() == DType::f64) weight_grad<double>(x, dy, dw);
  else weight_grad<float>(x, dy, dw);
  return record(dw, op, {x, dy}, [x = kept_for(dy, x), dy = kept_for(x, dy)](const BackwardArgs& a) {
    return std::vector<Tensor>{a.needs[0] ? depthwise_conv_transpose2d(dy, a.dy) : Tensor{},
                               a.needs[1] ? depthwise_conv2d(x, a.dy) : Tensor{}};
  });
}

}  // namespace g2s
