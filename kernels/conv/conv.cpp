#include "kernels/conv/conv.h"

#include "engine/autograd.h"
#include "engine/precision.h"
#include "engine/multiply_adds.h"
#include "kernels/conv/conv_args.h"
#include "kernels/conv/conv_cudnn.h"
#include "kernels/conv/conv_paths.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"

namespace g2s {

Tensor kernels::times_style(const Tensor& x, const Tensor& style) {
  BiasAct act;
  act.scale = style;
  act.slope = 1;
  return bias_act(x, act);
}

namespace {

using kernels::ConvKind;
using kernels::ConvShape;
using kernels::times_style;

constexpr std::int64_t max_taps = 1024;

void require_image(const char* op, const char* name, const Tensor& t) {
  check(t.defined() && t.rank() == 4, op, name, " must have rank 4, got ", t.defined() ? describe(t) : "an undefined tensor");
}

void require_real(const char* op, const char* first_name, const Tensor& first, const char* second_name, const Tensor& second) {
  check(first.dtype() == second.dtype() && is_real(first.dtype()), op, "needs two tensors of f32 or of f64 (", first_name, " ", describe(first),
        ", ", second_name, " ", describe(second), ")");
  check(first.device() == second.device(), op, first_name, " is on ", first.device(), ", ", second_name, " on ", second.device());
}

void require_options(const char* op, const ConvOptions& o) {
  if (o.stride < 1 || o.pad < 0 || o.dilation < 1)
    fail(Errc::invalid_argument, op, "stride ", o.stride, ", pad ", o.pad, ", dilation ", o.dilation, " are not possible");
}

void require_kernel(const char* op, std::int64_t rows, std::int64_t columns) {
  if (rows < 1 || columns < 1 || rows * columns > max_taps)
    fail(Errc::invalid_argument, op, "a kernel of ", rows, "x", columns, " is not possible (1 to ", max_taps, " taps)");
}

// `channels`: the axis of w that meets those of x.
void require_operands(const char* op, const Tensor& x, const Tensor& w, int channels, const ConvOptions& options) {
  require_image(op, "x", x);
  require_image(op, "w", w);
  check(x.dim(3) == w.dim(channels), op, "x has ", x.dim(3), " channels, weight expects ", w.dim(channels), " (x ", describe(x), ", w ", describe(w),
        ")");
  require_real(op, "x", x, "w", w);
  require_options(op, options);
  require_kernel(op, w.dim(1), w.dim(2));
}

// Output size of a convolution; less than 1 where the kernel does not fit.
std::int64_t output_size(std::int64_t in, std::int64_t kernel, const ConvOptions& o) {
  std::int64_t room = in + 2 * o.pad - o.dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / o.stride + 1;
}

void set_options(ConvShape& s, const ConvOptions& o) {
  s.stride = o.stride;
  s.pad = o.pad;
  s.dilation = o.dilation;
}

// The same for all three operators: every position of the output side meets every tap.
void count_work(ConvKind kind, const ConvShape& s) {
  kernels::note_cuda_conv(kernels::problem_of(kind, kernels::Factors::f32, s));
  count_multiply_adds(s.batch * s.y_rows * s.y_columns * s.y_channels * s.kernel_rows * s.kernel_columns * s.x_channels);
}

// What a derivative keeps of one factor: nothing where the other has no gradient. So a frozen weight costs no copy of the image.
Tensor kept_for(const Tensor& other, const Tensor& factor) { return other.requires_grad() ? factor : Tensor{}; }

// The three operators on one geometry. Each one's derivatives are the two others.
Tensor forward(const ConvShape& s, const char* op, const Tensor& x, const Tensor& w);
Tensor input_grad(const ConvShape& s, const char* op, const Tensor& dy, const Tensor& w);
Tensor weight_grad(const ConvShape& s, const char* op, const Tensor& x, const Tensor& dy);

Tensor forward(const ConvShape& s, const char* op, const Tensor& x, const Tensor& w) {
  Tensor y = Tensor::empty({s.batch, s.y_rows, s.y_columns, s.y_channels}, x.dtype(), x.device());
  count_work(ConvKind::forward, s);
  if (x.on_cuda()) kernels::conv_cuda(ConvKind::forward, s, x, w, y);
  else if (x.dtype() == DType::f64) kernels::plain_conv_forward({s, x.data<double>(), w.data<double>(), y.mutable_data<double>()});
  else kernels::conv_forward_cpu(s, x, w, y);
  return record(y, op, {x, w}, [=, x = kept_for(w, x), w = kept_for(x, w)](const BackwardArgs& a) {
    return std::vector<Tensor>{a.needs[0] ? input_grad(s, "conv_transpose2d", a.dy, w) : Tensor{},
                               a.needs[1] ? weight_grad(s, "conv2d_weight_grad", x, a.dy) : Tensor{}};
  });
}

Tensor input_grad(const ConvShape& s, const char* op, const Tensor& dy, const Tensor& w) {
  Tensor dx = Tensor::empty({s.batch, s.x_rows, s.x_columns, s.x_channels}, dy.dtype(), dy.device());
  count_work(ConvKind::input_grad, s);
  if (dy.on_cuda()) kernels::conv_cuda(ConvKind::input_grad, s, dy, w, dx);
  else if (dy.dtype() == DType::f64) kernels::plain_conv_input_grad({s, dy.data<double>(), w.data<double>(), dx.mutable_data<double>()});
  else kernels::conv_input_grad_cpu(s, dy, w, dx);
  return record(dx, op, {dy, w}, [=, dy = kept_for(w, dy), w = kept_for(dy, w)](const BackwardArgs& a) {
    return std::vector<Tensor>{a.needs[0] ? forward(s, "conv2d", a.dy, w) : Tensor{},
                               a.needs[1] ? weight_grad(s, "conv2d_weight_grad", a.dy, dy) : Tensor{}};
  });
}

Tensor weight_grad(const ConvShape& s, const char* op, const Tensor& x, const Tensor& dy) {
  Tensor dw = Tensor::empty({s.y_channels, s.kernel_rows, s.kernel_columns, s.x_channels}, x.dtype(), x.device());
  count_work(ConvKind::weight_grad, s);
  if (x.on_cuda()) kernels::conv_cuda(ConvKind::weight_grad, s, x, dy, dw);
  else if (x.dtype() == DType::f64) kernels::plain_conv_weight_grad({s, x.data<double>(), dy.data<double>(), dw.mutable_data<double>()});
  else kernels::conv_weight_grad_cpu(s, x, dy, dw);
  return record(dw, op, {x, dy}, [=, x = kept_for(dy, x), dy = kept_for(x, dy)](const BackwardArgs& a) {
    return std::vector<Tensor>{a.needs[0] ? input_grad(s, "conv_transpose2d", dy, a.dy) : Tensor{},
                               a.needs[1] ? forward(s, "conv2d", x, a.dy) : Tensor{}};
  });
}

// Is the style multiplied where x is read?
bool reads_styled(const Tensor& x) { return x.on_cuda() && x.dtype() == DType::f32; }

void require_style(const char* op, const Tensor& x, const Tensor& style) {
  check(style.defined() && style.shape() == Shape{x.dim(0), x.dim(3)} && style.dtype() == x.dtype(), op, "style ",
        style.defined() ? describe(style) : "undefined", " does not fit x ", describe(x));
  check(style.device() == x.device(), op, "style is on ", style.device(), ", x on ", x.device());
}

// The forward product or the input gradient, of style * x.
Tensor conv_of_modulated(ConvKind kind, const ConvShape& s, const char* op, const Tensor& x, const Tensor& style, const Tensor& w) {
  const bool down = kind == ConvKind::forward;
  if (!reads_styled(x)) return down ? forward(s, op, times_style(x, style), w) : input_grad(s, op, times_style(x, style), w);
  const Shape shape = down ? Shape{s.batch, s.y_rows, s.y_columns, s.y_channels} : Shape{s.batch, s.x_rows, s.x_columns, s.x_channels};
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  count_work(kind, s);
  kernels::conv_cuda(kind, s, x, w, y, {&style, nullptr, nullptr});
  return record(y, op, {x, style, w},
                [=, x = will_record({&style, &w}) ? x : Tensor{}, w = will_record({&x, &style}) ? w : Tensor{}](const BackwardArgs& a) {
                  ScaleGradients g;
                  if (a.needs[0] || a.needs[1]) {
                    const Tensor d = down ? input_grad(s, "conv_transpose2d", a.dy, w) : forward(s, "conv2d", a.dy, w);
                    g = bias_act_scale_gradients(d, x, style, a.needs[0], a.needs[1]);
                  }
                  Tensor dw;
                  if (a.needs[2]) {
                    const Tensor read = times_style(x, style);
                    dw = down ? weight_grad(s, "conv2d_weight_grad", read, a.dy) : weight_grad(s, "conv2d_weight_grad", a.dy, read);
                  }
                  return std::vector<Tensor>{g.dx, g.dscale, dw};
                });
}

ConvShape shape_of(const char* op, const Tensor& x, const Tensor& w, const ConvOptions& options) {
  require_operands(op, x, w, 3, options);
  ConvShape s{};
  s.batch = x.dim(0);
  s.x_rows = x.dim(1), s.x_columns = x.dim(2), s.x_channels = x.dim(3);
  s.y_rows = output_size(x.dim(1), w.dim(1), options), s.y_columns = output_size(x.dim(2), w.dim(2), options), s.y_channels = w.dim(0);
  s.kernel_rows = w.dim(1), s.kernel_columns = w.dim(2);
  set_options(s, options);
  check(s.y_rows > 0 && s.y_columns > 0, op, "the kernel does not fit into the picture (x ", describe(x), ", w ", describe(w), ", pad ",
        options.pad, ", dilation ", options.dilation, ")");
  return s;
}

kernels::EpilogueArgs epilogue_of(const BiasAct& act) {
  auto data = [](const Tensor& t) { return t.defined() ? t.ptr<float>() : nullptr; };
  return {true, data(act.scale), data(act.noise), data(act.noise_weight), data(act.bias), act.noise.defined() && act.noise.dim(0) == 1,
          static_cast<float>(act.slope), static_cast<float>(act.gain)};
}

bool needs_grad(const Tensor& t) { return t.defined() && t.requires_grad(); }

// With a style, of style * x.
Tensor conv_and_act(const char* op, const Tensor& x, const Tensor& style, const Tensor& w, const BiasAct& act, const ConvOptions& options) {
  if (style.defined() && !reads_styled(x)) return conv_and_act(op, times_style(x, style), {}, w, act, options);
  const ConvShape s = shape_of(op, x, w, options);
  const bool from_y = !grad_enabled() || (!needs_grad(act.scale) && !needs_grad(act.noise_weight));
  // The products of the CPU's matrix tiles have no epilogue.
  if (x.dtype() == DType::f64 || !from_y || (precision() == Precision::bf16 && !x.on_cuda()))
    return bias_act(style.defined() ? conv_of_modulated(ConvKind::forward, s, op, x, style, w) : forward(s, op, x, w), act);
  Tensor y = Tensor::empty({s.batch, s.y_rows, s.y_columns, s.y_channels}, x.dtype(), x.device());
  check_bias_act(y, act);
  count_work(ConvKind::forward, s);
  const kernels::EpilogueArgs epilogue = epilogue_of(act);
  const bool recorded = will_record({&x, &w, &act.bias, &style}), with_mask = recorded && act.slope != 1;
  Tensor mask;
  if (x.on_cuda()) {
    if (with_mask) mask = Tensor::empty(y.shape(), DType::u8, y.device());
    kernels::conv_cuda(ConvKind::forward, s, x, w, y, {style.defined() ? &style : nullptr, &epilogue, with_mask ? &mask : nullptr});
  } else {
    kernels::conv_forward_cpu(s, x, w, y, epilogue);
    if (with_mask) mask = bias_act_mask(y);
  }
  if (!recorded) return y;
  return record(y, op, {x, w, act.bias, style},
                [=, x = will_record({&w, &style}) ? x : Tensor{}, w = will_record({&x, &style}) ? w : Tensor{}](const BackwardArgs& a) {
                  Tensor d = bias_act_preactivation_grad(a.dy, mask, act);
                  Tensor dbias = a.needs[2] ? sum_to(d, act.bias.shape()) : Tensor{};
                  if (act.scale.defined()) d = mul(d, act.scale.reshape({s.batch, 1, 1, s.y_channels}));
                  ScaleGradients g;
                  if (a.needs[0] || a.needs[3]) g.dx = input_grad(s, "conv_transpose2d", d, w);
                  if (style.defined() && g.dx.defined()) g = bias_act_scale_gradients(g.dx, x, style, a.needs[0], a.needs[3]);
                  Tensor dw;
                  if (a.needs[1]) dw = weight_grad(s, "conv2d_weight_grad", style.defined() ? times_style(x, style) : x, d);
                  return std::vector<Tensor>{g.dx, dw, dbias, g.dscale};
                });
}

ConvShape transposed_shape_of(const char* op, const Tensor& x, const Tensor& w, const ConvOptions& options, int output_pad) {
  require_operands(op, x, w, 0, options);
  if (output_pad < 0) fail(Errc::invalid_argument, op, "output_pad ", output_pad, " is negative");
  auto size = [&](std::int64_t in, std::int64_t kernel) {
    return (in - 1) * options.stride - 2 * options.pad + options.dilation * (kernel - 1) + 1 + output_pad;
  };
  ConvShape s{};
  s.batch = x.dim(0);
  s.x_rows = size(x.dim(1), w.dim(1)), s.x_columns = size(x.dim(2), w.dim(2)), s.x_channels = w.dim(3);
  s.y_rows = x.dim(1), s.y_columns = x.dim(2), s.y_channels = x.dim(3);
  s.kernel_rows = w.dim(1), s.kernel_columns = w.dim(2);
  set_options(s, options);
  check(s.x_rows > 0 && s.x_columns > 0, op, "the output would be empty (x ", describe(x), ", w ", describe(w), ", pad ", options.pad, ")");
  return s;
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& w, ConvOptions options) { return forward(shape_of("conv2d", x, w, options), "conv2d", x, w); }

Tensor conv2d_bias_act(const Tensor& x, const Tensor& w, const BiasAct& act, ConvOptions options) {
  return conv_and_act("conv2d_bias_act", x, {}, w, act, options);
}

Tensor conv2d_modulated(const Tensor& x, const Tensor& style, const Tensor& w, ConvOptions options) {
  const char* op = "conv2d_modulated";
  const ConvShape s = shape_of(op, x, w, options);
  require_style(op, x, style);
  return conv_of_modulated(ConvKind::forward, s, op, x, style, w);
}

Tensor conv2d_modulated_bias_act(const Tensor& x, const Tensor& style, const Tensor& w, const BiasAct& act, ConvOptions options) {
  const char* op = "conv2d_modulated_bias_act";
  shape_of(op, x, w, options);
  require_style(op, x, style);
  return conv_and_act(op, x, style, w, act, options);
}

Tensor conv_transpose2d(const Tensor& x, const Tensor& w, ConvOptions options, int output_pad) {
  const char* op = "conv_transpose2d";
  return input_grad(transposed_shape_of(op, x, w, options, output_pad), op, x, w);
}

Tensor conv_transpose2d_modulated(const Tensor& x, const Tensor& style, const Tensor& w, ConvOptions options) {
  const char* op = "conv_transpose2d_modulated";
  const ConvShape s = transposed_shape_of(op, x, w, options, 0);
  require_style(op, x, style);
  return conv_of_modulated(ConvKind::input_grad, s, op, x, style, w);
}

Tensor conv2d_weight_grad(const Tensor& x, const Tensor& dy, std::int64_t kh, std::int64_t kw, ConvOptions options) {
  const char* op = "conv2d_weight_grad";
  require_image(op, "x", x);
  require_image(op, "dy", dy);
  check(x.dim(0) == dy.dim(0), op, "x has ", x.dim(0), " pictures, dy ", dy.dim(0), " (x ", describe(x), ", dy ", describe(dy), ")");
  require_real(op, "x", x, "dy", dy);
  require_options(op, options);
  require_kernel(op, kh, kw);
  const std::int64_t rows = output_size(x.dim(1), kh, options), columns = output_size(x.dim(2), kw, options);
  check(dy.dim(1) == rows && dy.dim(2) == columns, op, "a ", kh, "x", kw, " convolution of x gives pictures of ", rows, "x", columns, " (x ",
        describe(x), ", dy ", describe(dy), ")");
  ConvShape s{};
  s.batch = x.dim(0);
  s.x_rows = x.dim(1), s.x_columns = x.dim(2), s.x_channels = x.dim(3);
  s.y_rows = rows, s.y_columns = columns, s.y_channels = dy.dim(3);
  s.kernel_rows = kh, s.kernel_columns = kw;
  set_options(s, options);
  return weight_grad(s, op, x, dy);
}

}  // namespace g2s
