#include "kernels/bias_act/bias_act.h"

#include <algorithm>

#include "engine/autograd.h"
#include "engine/graph_vertex.h"
#include "kernels/bias_act/bias_act_args.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"

namespace g2s {
namespace {

// x seen as [batch, pixels, channels]. Without anything that differs between images they are one.
struct Sizes {
  std::int64_t batch, pixels, channels;
  bool noise_shared;
};

Sizes sizes_of(const Tensor& x, const BiasAct& args) {
  Sizes s{x.dim(0), x.rank() == 4 ? x.dim(1) * x.dim(2) : 1, x.dim(-1), false};
  s.noise_shared = args.noise.defined() && args.noise.dim(0) == 1 && s.batch > 1;
  if (!args.scale.defined() && !s.noise_shared) s = {1, s.batch * s.pixels, s.channels, false};
  return s;
}

template <class T>
const T* data_or_null(const Tensor& t) {
  return t.defined() ? t.ptr<T>() : nullptr;
}

// What the derivative needs of the forward pass. Where the scale's gradient is wanted behind an activation it is the output, from which x
// follows and which the next layer keeps anyway, unless a scale is 0 (on CUDA nobody looks: the host would have to wait); else a byte per
// element tells where the activation let the gradient pass.
struct Saved {
  Tensor mask;             // u8, like x
  Tensor x;                // with the gradient to the scale or the noise weight, unless the output is saved
  Tensor vertex;           // of x in the graph, where the output is saved
  bool by_output = false;
};

template <class T>
void forward(const Tensor& x, const BiasAct& args, Tensor& y, Tensor& mask) {
  const Sizes s = sizes_of(x, args);
  kernels::bias_act(x.on_cuda(),
                    {x.ptr<T>(), y.mutable_ptr<T>(), mask.defined() ? mask.mutable_ptr<std::uint8_t>() : nullptr, data_or_null<T>(args.scale),
                     data_or_null<T>(args.noise), data_or_null<T>(args.noise_weight), data_or_null<T>(args.bias), s.batch, s.pixels, s.channels,
                     s.noise_shared, static_cast<T>(args.slope), static_cast<T>(args.gain)});
}

void forward(const Tensor& x, const BiasAct& args, Tensor& y, Tensor& mask) {
  if (x.dtype() == DType::f64) forward<double>(x, args, y, mask);
  else forward<float>(x, args, y, mask);
}

// dy where the activation passed it on, scaled: linear in dy, so it is its own derivative. `by` is the output or its mask, which only
// chooses and has no gradient.
Tensor act_grad(const Tensor& dy, const Tensor& by, double slope, double gain);

struct Gradients {
  Tensor dx, dscale, dnoise_weight, dbias;
};

std::int64_t partial_size(const Tensor& dy, const Sizes& s) {
  if (!dy.on_cuda()) return s.batch * kernels::bias_act_chunks(s.pixels, s.channels) * 3 * s.channels;
  return kernels::bias_act_partial_cuda(kernels::bias_act_tiling(s.pixels, s.channels, dy.dtype() == DType::f64), s.batch, s.channels);
}

// y is defined where the output was saved.
template <class T>
Gradients backward(const Tensor& dy, const Tensor& y, const Saved& saved, const BiasAct& args, const std::vector<bool>& needs) {
  const Sizes s = sizes_of(dy, args);
  auto like = [&](bool wanted, const Tensor& t) { return wanted ? Tensor::empty(t.shape(), t.dtype(), t.device()) : Tensor{}; };
  Gradients g{Tensor::empty(dy.shape(), dy.dtype(), dy.device()), like(needs[1], args.scale), like(needs[2], args.noise_weight),
              like(needs[3], args.bias)};
  Tensor partial;
  if (needs[1] || needs[2] || needs[3]) partial = Tensor::empty({partial_size(dy, s)}, dy.dtype(), dy.device());
  auto out = [](Tensor& t) { return t.defined() ? t.mutable_ptr<T>() : nullptr; };
  kernels::bias_act_grad(dy.on_cuda(), {dy.ptr<T>(), data_or_null<T>(y), data_or_null<std::uint8_t>(saved.mask), data_or_null<T>(saved.x),
                                        data_or_null<T>(args.scale), data_or_null<T>(args.noise), data_or_null<T>(args.noise_weight),
                                        data_or_null<T>(args.bias), out(g.dx), out(g.dscale), out(g.dbias), out(g.dnoise_weight), out(partial),
                                        s.batch, s.pixels, s.channels, s.noise_shared, static_cast<T>(args.slope), static_cast<T>(args.gain)});
  return g;
}

Gradients backward(const Tensor& dy, const Tensor& y, const Saved& saved, const BiasAct& args, const std::vector<bool>& needs) {
  return dy.dtype() == DType::f64 ? backward<double>(dy, y, saved, args, needs) : backward<float>(dy, y, saved, args, needs);
}

Tensor act_grad(const Tensor& dy, const Tensor& by, double slope, double gain) {
  BiasAct act;
  act.slope = slope;
  act.gain = gain;
  const bool is_gate = by.defined() && by.dtype() == DType::u8;
  Tensor out = backward(dy, is_gate ? Tensor{} : by, {is_gate ? by : Tensor{}, {}, {}, false}, act, std::vector<bool>(4)).dx;
  return record(out, "bias_act", {dy}, [by, slope, gain](const BackwardArgs& a) -> std::vector<Tensor> {
    return {act_grad(a.dy, by, slope, gain)};
  });
}

// x from the output, with x's place in the graph.
Tensor input_of(const Tensor& y, const Tensor& vertex, const BiasAct& args, const Shape& per_image) {
  NoGrad no_grad;
  BiasAct inverse;
  inverse.slope = 1 / args.slope;
  inverse.gain = 1 / args.gain;
  Tensor x = bias_act(y, inverse);
  if (args.noise.defined()) x = x - args.noise * args.noise_weight;
  if (args.bias.defined()) x = x - args.bias;
  return at_vertex(x / args.scale.reshape(per_image), vertex);
}

// The same gradients from differentiable operators, for when they will be differentiated again.
Gradients backward_in_graph(const Tensor& dy, const Tensor& y, const Saved& saved, const BiasAct& args, const std::vector<bool>& needs) {
  const Tensor dpre = act_grad(dy, saved.by_output ? y.detach() : saved.mask, args.slope, args.gain);
  Shape per_image = dy.shape();
  if (dy.rank() == 4) per_image[1] = per_image[2] = 1;
  Gradients g;
  if (needs[0]) g.dx = args.scale.defined() ? mul(dpre, args.scale.reshape(per_image)) : dpre;
  if (needs[1]) {
    const Tensor x = saved.by_output ? input_of(y, saved.vertex, args, per_image) : saved.x;
    g.dscale = sum_to(mul(dpre, x), per_image).reshape(args.scale.shape());
  }
  if (needs[2]) g.dnoise_weight = sum(mul(dpre, args.noise)).reshape({1});
  if (needs[3]) g.dbias = sum_to(dpre, args.bias.shape());
  return g;
}

bool without_zeros(const Tensor& t) {
  auto search = [&](const auto* v) { return std::none_of(v, v + t.numel(), [](auto x) { return x == 0; }); };
  return t.dtype() == DType::f64 ? search(t.data<double>()) : search(t.data<float>());
}

}  // namespace

void check_bias_act(const Tensor& x, const BiasAct& args) {
  const char* op = "bias_act";
  check(x.rank() == 4 || x.rank() == 2, op, "x must be [B,H,W,C] or [B,C], got ", describe(x));
  if (!is_real(x.dtype())) fail(Errc::invalid_argument, op, "x must be f32 or f64, got ", describe(x));
  auto same_kind = [&](const Tensor& t, const char* name, bool fits) {
    check(fits && t.dtype() == x.dtype(), op, name, " ", describe(t), " does not fit x ", describe(x));
    check(t.device() == x.device(), op, name, " is on ", t.device(), ", x on ", x.device());
  };
  if (args.scale.defined()) same_kind(args.scale, "scale", args.scale.shape() == Shape{x.dim(0), x.dim(-1)});
  if (args.bias.defined()) same_kind(args.bias, "bias", args.bias.shape() == Shape{x.dim(-1)});
  check(args.noise.defined() == args.noise_weight.defined(), op, "noise and noise_weight go together");
  if (args.noise.defined()) {
    const Tensor& n = args.noise;
    same_kind(n, "noise",
              x.rank() == 4 && n.rank() == 4 && (n.dim(0) == 1 || n.dim(0) == x.dim(0)) && n.dim(1) == x.dim(1) && n.dim(2) == x.dim(2) &&
                  n.dim(3) == 1);
    same_kind(args.noise_weight, "noise_weight", args.noise_weight.shape() == Shape{1});
  }
  if (!(args.slope >= 0 && args.gain > 0))
    fail(Errc::invalid_argument, op, "needs slope >= 0 and gain > 0, got ", args.slope, " and ", args.gain);
}

Tensor bias_act_mask(const Tensor& y) {
  Tensor mask = Tensor::empty(y.shape(), DType::u8, y.device());
  auto* to = mask.mutable_ptr<std::uint8_t>();
  if (y.dtype() == DType::f64) kernels::bias_act_mask(y.on_cuda(), {y.ptr<double>(), to, y.numel()});
  else kernels::bias_act_mask(y.on_cuda(), {y.ptr<float>(), to, y.numel()});
  return mask;
}

Tensor bias_act_preactivation_grad(const Tensor& dy, const Tensor& mask, const BiasAct& args) {
  return act_grad(dy, mask, args.slope, args.gain);
}

ScaleGradients bias_act_scale_gradients(const Tensor& dy, const Tensor& x, const Tensor& scale, bool to_x, bool to_scale) {
  BiasAct args;
  args.scale = scale;
  args.slope = 1;
  const Saved saved{{}, x, {}, false};
  const std::vector<bool> needs{to_x, to_scale, false, false};
  const Gradients g = grad_enabled() ? backward_in_graph(dy, {}, saved, args, needs) : backward(dy, {}, saved, args, needs);
  return {to_x ? g.dx : Tensor{}, g.dscale};
}

Tensor bias_act(const Tensor& x, const BiasAct& args) {
  check_bias_act(x, args);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  const bool act = args.slope != 1, wants_scale = will_record({&args.scale});
  const bool recorded = will_record({&x, &args.scale, &args.noise_weight, &args.bias});
  Saved saved;
  saved.by_output = act && args.slope > 0 && wants_scale && !x.on_cuda() && without_zeros(args.scale);
  if (saved.by_output) saved.vertex = graph_vertex(x);
  else if (act && recorded) saved.mask = Tensor::empty(x.shape(), DType::u8, x.device());
  if (!saved.by_output && (wants_scale || will_record({&args.noise_weight}))) saved.x = x;
  forward(x, args, y, saved.mask);
  BackwardFn fn = [saved, args](const BackwardArgs& a) -> std::vector<Tensor> {
    Gradients g = grad_enabled() ? backward_in_graph(a.dy, a.y, saved, args, a.needs)
                                 : backward(a.dy, saved.by_output ? a.y.detach() : Tensor{}, saved, args, a.needs);
    return {g.dx, g.dscale, g.dnoise_weight, g.dbias};
  };
  return record(y, "bias_act", {x, args.scale, args.noise_weight, args.bias}, {std::move(fn), saved.by_output});
}

}  // namespace g2s
