#include "kernels/modulated_conv/modulated_conv.h"

#include "engine/cuda/sm_version.h"
#include "kernels/conv/conv.h"
#include "kernels/conv/conv_cuda_choice.h"
#include "kernels/conv/conv_paths.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/derived.h"
#include "kernels/matmul/matmul.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "kernels/upfirdn/upfirdn.h"

namespace g2s {
namespace {

constexpr double blur_gain = 4;  // of the blur behind zeros between pixels

// Something made of w alone, kept beside a constant w.
Tensor kept(const Tensor& w, const char* key, Tensor (*make)(const Tensor&)) {
  return kernels::derived(w, key, [&] {
    Tensor t = make(w);
    return w.is_constant() ? t.set_constant() : t;
  });
}

// conv_transpose2d wants its weight by input channel: [C,k,k,O].
Tensor by_input(const Tensor& w) { return permute(w, {3, 1, 2, 0}); }
// [O,C]: a style is the same for all taps.
Tensor squared_taps(const Tensor& w) { return sum(square(w), {1, 2}); }

// The weight by input channel with the blur behind an upsampling convolution folded in: [C,6,6,O] of 3x3 taps. z[j] = sum_t f[t] y[j + t - 1] of
// y[2 i + u] = sum x[i] w[u] is one transposed convolution with v = u - t + 3, whose weight sums f[t] w[v + t - 3].
Tensor folded(const Tensor& w) {
  const int around = static_cast<int>(fir_1331().size()) - 1;
  return by_input(upfirdn2d(w, fir_1331(), blur_gain, 1, 1, {around, around, around, around}));
}

// Does one product do for convolution and blur? It has four times the multiply-adds, and neither writes nor reads what lies between.
bool folds(const Tensor& x, const Tensor& w) {
  using namespace kernels;
  if (w.dim(1) != 3 || !w.is_constant()) return false;
  const std::int64_t rows = x.dim(1), columns = x.dim(2);
  CudaConvProblem problem{CudaConvKind::upsampling, Factors::f32, x.dim(0), 2 * rows + 1, 2 * columns + 1, w.dim(0), rows, columns, x.dim(3), 3, 3, 2, 0, 1};
  if (x.dtype() == DType::f32) note_cuda_conv(problem);
  problem.factors = conv_factors(ConvKind::input_grad);
  if (forced_cuda_conv() == CudaConvWish::polyphase) return true;
  return x.on_cuda() && x.dtype() == DType::f32 && choose_cuda_conv(problem, cuda::sm_version()).path == CudaConvPath::polyphase;
}

int floor_half(int n) { return n >= 0 ? n / 2 : -((1 - n) / 2); }

void check_args(const char* op, const Tensor& w, const Tensor& style) {
  check(w.rank() == 4 && w.dim(1) == w.dim(2), op, "w must be [O,k,k,C], got ", describe(w));
  check(style.rank() == 2 && style.dim(1) == w.dim(3) && style.dtype() == w.dtype(), op, "style ", describe(style), " does not fit w ",
        describe(w));
}

void check_args(const char* op, const Tensor& x, const Tensor& w, const Tensor& style) {
  check_args(op, w, style);
  check(x.rank() == 4 && x.dim(0) == style.dim(0) && x.dim(3) == w.dim(3) && x.dtype() == w.dtype(), op, "x ", describe(x),
        " does not fit style ", describe(style), " and w ", describe(w));
}

// style * x: its derivative gives the gradients to x and to the style in one pass.
Tensor modulated(const Tensor& x, const Tensor& style) {
  BiasAct modulate;
  modulate.scale = style;
  modulate.slope = 1;
  return bias_act(x, modulate);
}

}  // namespace

Tensor modulated_conv2d(const Tensor& x, const Tensor& w, const Tensor& style, ModulatedConv options) {
  const char* op = "modulated_conv2d";
  if (options.upsample && options.downsample) fail(Errc::invalid_argument, op, "cannot both upsample and downsample");
  const int k = static_cast<int>(w.dim(1)), taps = static_cast<int>(fir_1331().size());
  check_args(op, x, w, style);
  if (options.upsample) {
    if (folds(x, w)) return conv_transpose2d_styled(x, style, kept(w, "modulated_conv.folded", folded), {.stride = 2, .pad = 2});
    const int room = (taps - 2) - (k - 1), before = floor_half(room + 1) + 1, after = floor_half(room) + 1;
    Tensor y = conv_transpose2d_styled(x, style, kept(w, "modulated_conv.by_input", by_input), {.stride = 2});
    return upfirdn2d(y, fir_1331(), blur_gain, 1, 1, {before, after, before, after});
  }
  if (options.downsample) {
    const int room = (taps - 2) + (k - 1), before = (room + 1) / 2, after = room / 2;
    return conv2d(upfirdn2d(modulated(x, style), fir_1331(), 1, 1, 1, {before, after, before, after}), w, {.stride = 2});
  }
  return conv2d_styled(x, style, w, {.pad = k / 2});
}

Tensor modulated_conv2d_bias_act(const Tensor& x, const Tensor& w, const Tensor& style, const BiasAct& act, ModulatedConv options) {
  if (options.upsample || options.downsample) return bias_act(modulated_conv2d(x, w, style, options), act);
  check_args("modulated_conv2d_bias_act", x, w, style);
  return conv2d_styled_bias_act(x, style, w, act, {.pad = static_cast<int>(w.dim(1)) / 2});
}

Tensor demodulation(const Tensor& w, const Tensor& style) {
  check_args("demodulation", w, style);
  return rsqrt(affine(matmul(square(style), kept(w, "modulated_conv.squared_taps", squared_taps), false, true), 1, 1e-8));
}

}  // namespace g2s
