#include "kernels/bias_act/bias_act.h"

#include "engine/autograd.h"
#include "kernels/bias_act/bias_act_args.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"

namespace g2s {
namespace {

void launch(const kernels::BiasActArgs<float>& args) { kernels::bias_act_f32_cpu(args); }
void launch(const kernels::BiasActArgs<double>& args) { kernels::bias_act_f64_cpu(args); }
void launch(const kernels::BiasActGradArgs<float>& args) { kernels::bias_act_grad_f32_cpu(args); }
void launch(const kernels::BiasActGradArgs<double>& args) { kernels::bias_act_grad_f64_cpu(args); }

// x seen as [batch, pixels, channels]. Without anything that differs between pictures they are one.
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
  return t.defined() ? t.data<T>() : nullptr;
}

template <class T>
void forward(const Tensor& x, const BiasAct& args, Tensor& y) {
  const Sizes s = sizes_of(x, args);
  launch({x.data<T>(), y.mutable_data<T>(), data_or_null<T>(args.scale), data_or_null<T>(args.noise), data_or_null<T>(args.noise_weight),
          data_or_null<T>(args.bias), s.batch, s.pixels, s.channels, s.noise_shared, static_cast<T>(args.slope),
          static_cast<T>(args.gain)});
}

// dy where the activation passed it on, scaled: linear in dy, so it is its own derivative. y only chooses and has no gradient.
Tensor act_grad(const Tensor& dy, const Tensor& y, double slope, double gain);

struct Gradients {
  Tensor dx, dscale, dnoise_weight, dbias;
};

template <class T>
Gradients backward(const Tensor& dy, const Tensor& y, const Tensor& x, const BiasAct& args, const std::vector<bool>& needs) {
  const Sizes s = sizes_of(x, args);
  auto like = [&](bool wanted, const Tensor& t) { return wanted ? Tensor::empty(t.shape(), t.dtype(), t.device()) : Tensor{}; };
  Gradients g{Tensor::empty(x.shape(), x.dtype(), x.device()), like(needs[1], args.scale), like(needs[2], args.noise_weight),
              like(needs[3], args.bias)};
  Tensor partial;
  if (needs[1] || needs[2] || needs[3])
    partial = Tensor::empty({s.batch, kernels::bias_act_chunks(s.pixels, s.channels), 3, s.channels}, x.dtype(), x.device());
  auto out = [](Tensor& t) { return t.defined() ? t.mutable_data<T>() : nullptr; };
  launch({dy.data<T>(), data_or_null<T>(y), x.data<T>(), data_or_null<T>(args.scale), data_or_null<T>(args.noise), out(g.dx), out(g.dscale),
          out(g.dbias), out(g.dnoise_weight), out(partial), s.batch, s.pixels, s.channels, s.noise_shared, static_cast<T>(args.slope),
          static_cast<T>(args.gain)});
  return g;
}

Gradients backward(const Tensor& dy, const Tensor& y, const Tensor& x, const BiasAct& args, const std::vector<bool>& needs) {
  return x.dtype() == DType::f64 ? backward<double>(dy, y, x, args, needs) : backward<float>(dy, y, x, args, needs);
}

Tensor act_grad(const Tensor& dy, const Tensor& y, double slope, double gain) {
  BiasAct act;
  act.slope = slope;
  act.gain = gain;
  Tensor out = backward(dy, y, dy, act, std::vector<bool>(4)).dx;
  return record(out, "bias_act", {dy}, [y, slope, gain](const BackwardArgs& a) -> std::vector<Tensor> {
    return {act_grad(a.dy, y, slope, gain)};
  });
}

// The same gradients from differentiable operators, for when they will be differentiated again.
Gradients backward_in_graph(const Tensor& dy, const Tensor& y, const Tensor& x, const BiasAct& args, const std::vector<bool>& needs) {
  const Tensor dpre = act_grad(dy, y, args.slope, args.gain);
  Shape per_picture = x.shape();
  if (x.rank() == 4) per_picture[1] = per_picture[2] = 1;
  Gradients g;
  if (needs[0]) g.dx = args.scale.defined() ? mul(dpre, args.scale.reshape(per_picture)) : dpre;
  if (needs[1]) g.dscale = sum_to(mul(dpre, x), per_picture).reshape(args.scale.shape());
  if (needs[2]) g.dnoise_weight = sum(mul(dpre, args.noise)).reshape({1});
  if (needs[3]) g.dbias = sum_to(dpre, args.bias.shape());
  return g;
}

}  // namespace

void check_bias_act(const Tensor& x, const BiasAct& args) {
  const char* op = "bias_act";
  check(x.rank() == 4 || x.rank() == 2, op, "x must be [B,H,W,C] or [B,C], got ", describe(x));
  if (!is_real(x.dtype())) fail(Errc::invalid_argument, op, "x must be f32 or f64, got ", describe(x));
  auto same_kind = [&](const Tensor& t, const char* name, bool fits) {
    check(fits && t.dtype() == x.dtype(), op, name, " ", describe(t), " does not fit x ", describe(x));
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

Tensor bias_act_chosen(const Tensor& dy, const Tensor& y, const BiasAct& args) { return act_grad(dy, y, args.slope, args.gain); }

Tensor bias_act(const Tensor& x, const BiasAct& args) {
  check_bias_act(x, args);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  if (x.dtype() == DType::f64) forward<double>(x, args, y);
  else forward<float>(x, args, y);
  const bool act = args.slope != 1;
  return record(
      y, "bias_act", {x, args.scale, args.noise_weight, args.bias},
      [x, args, act](const BackwardArgs& a) -> std::vector<Tensor> {
        const Tensor y_values = act ? a.y.detach() : Tensor{};
        Gradients g = grad_enabled() ? backward_in_graph(a.dy, y_values, x, args, a.needs) : backward(a.dy, y_values, x, args, a.needs);
        return {g.dx, g.dscale, g.dnoise_weight, g.dbias};
      },
      act);
}

}  // namespace g2s
