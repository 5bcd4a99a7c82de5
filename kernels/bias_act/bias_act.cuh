// The arithmetic of bias_act, for its own kernel and for products that apply it to their results: both give the same bits.
#pragma once

#include "engine/cuda/launch.cuh"

namespace g2s::kernels {

// gain * leaky(scale * x + noise + bias). Rounded as on the CPU: the first addition is fused with the multiplication.
template <class T>
__device__ __forceinline__ T bias_act_value(T x, T scale, bool noisy, T noise, T bias, T slope, T gain) {
  const T first = std::fma(x, scale, noisy ? noise : bias), v = noisy ? first + bias : first;
  return gain * (v > 0 ? v : v * slope);
}

}  // namespace g2s::kernels
