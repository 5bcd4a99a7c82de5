// The last step of a product while its results are still in registers or in the first-level cache. Only for *.isa.cpp files.
#pragma once

#include "kernels/matmul/gemm_args.h"
#include "kernels/simd.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

// An epilogue at the channels [n, n + count) of one image, count up to `lanes`.
struct ChannelEpilogue {
  VecF scale, bias, slope, gain;
  bool noisy;

  ChannelEpilogue(const EpilogueArgs& e, std::int64_t channels, std::int64_t b, std::int64_t n, int count)
      : scale(e.scale ? load_first(e.scale + b * channels + n, count) : splat(1.0f)), bias(e.bias ? load_first(e.bias + n, count) : VecF{}),
        slope(splat(e.slope)), gain(splat(e.gain)), noisy(e.noise != nullptr) {}

  VecF operator()(VecF y, float noise) const {
    // Rounded as bias_act does it: the first addition is fused with the multiplication.
    const VecF first = multiply_add(y, scale, noisy ? splat(noise) : bias), v = noisy ? first + bias : first;
    return gain * (v > 0 ? v : v * slope);
  }
};

// What the noise adds to a pixel.
[[maybe_unused]] inline float noise_at(const EpilogueArgs& e, std::int64_t b, std::int64_t pixels, std::int64_t pixel) {
  return e.noise ? e.noise_weight[0] * e.noise[(e.noise_shared ? 0 : b * pixels) + pixel] : 0;
}

}  // namespace
}  // namespace g2s::kernels::G2S_ISA
