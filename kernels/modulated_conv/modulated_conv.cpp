#include "kernels/modulated_conv/modulated_conv.h"

#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/constant_cache.h"
#include "kernels/matmul/matmul.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "kernels/upfirdn/upfirdn.h"

namespace g2s {
namespace {

// Something made of w alone, kept beside a constant w.
Tensor kept(const Tensor& w, const char* key, Tensor (*make)(const Tensor&)) {
  return kernels::cached_from_constant(w, key, [&] {
    Tensor t = make(w);
    return w.is_constant() ? t.set_constant() : t;
  });
}

// conv_transpose2d wants its weight by input channel: [C,k,k,O].
Tensor by_input(const Tensor& w) { return permute(w, {3, 1, 2, 0}); }
// [O,C]: a style is the same for all taps.
Tensor squared_taps(const Tensor& w) { return sum(square(w), {1, 2}); }

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

}  // namespace

Tensor modulated_conv2d(const Tensor& x, const Tensor& w, const Tensor& style, ModulatedConv options) {
  check_args("modulated_conv2d", x, w, style);
  const int k = static_cast<int>(w.dim(1)), taps = static_cast<int>(fir_1331().size());
  if (!options.upsample) return conv2d_modulated(x, style, w, {.pad = k / 2});
  const int room = (taps - 2) - (k - 1), before = floor_half(room + 1) + 1, after = floor_half(room) + 1;
  Tensor y = conv_transpose2d_modulated(x, style, kept(w, "modulated_conv.by_input", by_input), {.stride = 2});
  return upfirdn2d(y, fir_1331(), 4, 1, 1, {before, after, before, after});
}

Tensor modulated_conv2d_bias_act(const Tensor& x, const Tensor& w, const Tensor& style, const BiasAct& act, ModulatedConv options) {
  if (options.upsample) return bias_act(modulated_conv2d(x, w, style, options), act);
  check_args("modulated_conv2d_bias_act", x, w, style);
  return conv2d_modulated_bias_act(x, style, w, act, {.pad = static_cast<int>(w.dim(1)) / 2});
}

Tensor demodulation(const Tensor& w, const Tensor& style) {
  check_args("demodulation", w, style);
  return rsqrt(affine(matmul(square(style), kept(w, "modulated_conv.squared_taps", squared_taps), false, true), 1, 1e-8));
}

}  // namespace g2s
