#include "kernels/separable_conv/separable_conv.h"

#include "engine/autograd.h"
#include "engine/multiply_adds.h"
#include "engine/precision.h"
#include "kernels/conv/conv.h"
#include "kernels/depthwise_conv/depthwise_conv.h"
#include "kernels/depthwise_conv/separable_conv_args.h"
#include "kernels/matmul/constant_cache.h"
#include "kernels/matmul/weight_layout.h"
#include "kernels/reduce/reduce.h"

namespace g2s {
namespace {

void check_args(const char* op, const Tensor& x, const Tensor& style, const Tensor& depthwise, const Tensor& pointwise) {
  check(x.defined() && x.rank() == 4, op, "x must be [B,H,W,C], got ", x.defined() ? describe(x) : "an undefined tensor");
  if (!is_real(x.dtype())) fail(Errc::invalid_argument, op, "x must be f32 or f64, got ", describe(x));
  auto fits = [&](const char* name, const Tensor& t, bool shape) {
    check(shape && t.dtype() == x.dtype(), op, name, " ", t.defined() ? describe(t) : "undefined", " does not fit x ", describe(x));
    check(t.device() == x.device(), op, name, " is on ", t.device(), ", x on ", x.device());
  };
  const std::int64_t channels = x.dim(3);
  if (style.defined()) fits("style", style, style.shape() == Shape{x.dim(0), channels});
  fits("depthwise", depthwise, depthwise.defined() && depthwise.shape() == Shape{3, 3, channels});
  fits("pointwise", pointwise,
       pointwise.defined() && pointwise.rank() == 4 && pointwise.shape() == Shape{pointwise.dim(0), 1, 1, channels});
}

Tensor convolved(const Tensor& x, const Tensor& style, const Tensor& depthwise) {
  return style.defined() ? depthwise_conv2d_modulated(x, style, depthwise) : depthwise_conv2d(x, depthwise);
}

// The pointwise weight as the product's right side: from C to O channels, or back.
Tensor panels(const Tensor& pointwise, bool back) {
  const std::int64_t out = pointwise.dim(0), in = pointwise.dim(3);
  const kernels::WeightView view{pointwise.data<float>(), pointwise, back ? out : in, back ? in : out, back ? in : 1, back ? 1 : in, {0}};
  return kernels::cached_from_constant(pointwise, back ? "separable_conv.back" : "separable_conv.panels",
                                       [&] { return kernels::pack_weight(view); });
}

const float* data_or_null(const Tensor& t) { return t.defined() ? t.data<float>() : nullptr; }

void set_sizes(kernels::SeparableArgs& a, const Tensor& left, std::int64_t n) {
  a.batch = left.dim(0), a.rows = left.dim(1), a.columns = left.dim(2), a.k = left.dim(3), a.n = n;
  count_multiply_adds(left.numel() * n);
}

Tensor in_blocks(const Tensor& x, const Tensor& style, const Tensor& depthwise, const Tensor& pointwise, const BiasAct& act) {
  Tensor y = Tensor::empty({x.dim(0), x.dim(1), x.dim(2), pointwise.dim(0)}, x.dtype(), x.device()), styled;
  check_bias_act(y, act);
  const Tensor zeros = Tensor::zeros({x.dim(3)}, x.dtype(), x.device()), w = panels(pointwise, false);
  kernels::SeparableArgs a{};
  set_sizes(a, x, pointwise.dim(0));
  count_multiply_adds(9 * x.numel());
  if (style.defined()) styled = Tensor::empty({x.dim(0), 9, x.dim(3)}, x.dtype(), x.device());
  a.x = x.data<float>();
  a.taps = depthwise.data<float>();
  a.style = data_or_null(style);
  a.styled = styled.defined() ? styled.mutable_data<float>() : nullptr;
  a.zeros = zeros.data<float>();
  a.w = w.data<float>();
  a.y = y.mutable_data<float>();
  const kernels::EpilogueArgs epilogue{true,
                                       nullptr,
                                       data_or_null(act.noise),
                                       data_or_null(act.noise_weight),
                                       data_or_null(act.bias),
                                       act.noise.defined() && act.noise.dim(0) == 1,
                                       static_cast<float>(act.slope),
                                       static_cast<float>(act.gain)};
  a.epilogue = &epilogue;
  kernels::separable_conv_cpu(a);
  return y;
}

// conv_transpose2d(g, pointwise), g being dy behind the activation whose output is y.
Tensor gated_back(const Tensor& dy, const Tensor& y, const Tensor& pointwise, const BiasAct& act) {
  Tensor dz = Tensor::empty({dy.dim(0), dy.dim(1), dy.dim(2), pointwise.dim(3)}, dy.dtype(), dy.device());
  const Tensor w = panels(pointwise, true);
  kernels::SeparableArgs a{};
  set_sizes(a, dy, pointwise.dim(3));
  a.x = dy.data<float>();
  a.gate = y.data<float>();
  a.slope = static_cast<float>(act.slope);
  a.gain = static_cast<float>(act.gain);
  a.w = w.data<float>();
  a.y = dz.mutable_data<float>();
  kernels::separable_conv_cpu(a);
  return dz;
}

struct Inputs {
  Tensor x, style, depthwise, pointwise;
};

// The gradients to x, style, depthwise, pointwise and bias.
std::vector<Tensor> backward(const Inputs& in, const BiasAct& act, const BackwardArgs& a) {
  const Tensor y = a.y.detach();
  Tensor g, dz;  // before the activation, between the convolutions
  if (grad_enabled() || a.needs[3] || a.needs[4]) g = bias_act_preactivation_grad(a.dy, y, act);
  if (a.needs[0] || a.needs[1] || a.needs[2]) dz = g.defined() ? conv_transpose2d(g, in.pointwise) : gated_back(a.dy, y, in.pointwise, act);
  ScaleGradients d;
  if (in.style.defined() && (a.needs[0] || a.needs[1]))
    d = depthwise_conv2d_modulated_gradients(dz, in.x, in.style, in.depthwise, a.needs[0], a.needs[1]);
  else if (a.needs[0]) d.dx = depthwise_conv_transpose2d(dz, in.depthwise);
  std::vector<Tensor> all{d.dx, d.dscale, {}, {}, {}};
  if (a.needs[2]) all[2] = depthwise_conv2d_weight_grad(in.style.defined() ? bias_act(in.x, {.scale = in.style, .slope = 1}) : in.x, dz);
  if (a.needs[3]) all[3] = conv2d_weight_grad(convolved(in.x, in.style, in.depthwise), g, 1, 1);
  if (a.needs[4]) all[4] = sum_to(g, act.bias.shape());
  return all;
}

// Can all be done block by block, and the gradient be found from the output?
bool fits_blocks(const Tensor& x, const BiasAct& act) {
  return x.dtype() == DType::f32 && !x.on_cuda() && precision() != Precision::bf16 && !act.scale.defined() &&
         !will_record({&act.noise_weight});
}

}  // namespace

Tensor separable_conv2d_bias_act(const Tensor& x, const Tensor& style, const Tensor& depthwise, const Tensor& pointwise,
                                 const BiasAct& act) {
  const char* op = "separable_conv2d_bias_act";
  check_args(op, x, style, depthwise, pointwise);
  if (!fits_blocks(x, act)) return conv2d_bias_act(convolved(x, style, depthwise), pointwise, act);
  const Inputs kept{will_record({&style, &depthwise, &pointwise}) ? x : Tensor{}, style, depthwise, pointwise};
  BackwardFn fn = [kept, act](const BackwardArgs& a) { return backward(kept, act, a); };
  return record(in_blocks(x, style, depthwise, pointwise, act), op, {x, style, depthwise, pointwise, act.bias}, {std::move(fn), true});
}

}  // namespace g2s
