// The arithmetic of bias_act, for its own kernel and for products that apply it to their results: both give the same bits.
#pragma once

#include "engine/cuda/launch.cuh"

namespace g2s::kernels {

// `count` neighbours in memory, loaded and stored at once.
template <class T, int count>
struct alignas(sizeof(T) * count) Pack { T v[count]; };
template <int count, class T>
__device__ __forceinline__ Pack<T, count> load_pack(const T* p) {
  return *reinterpret_cast<const Pack<T, count>*>(p);
}
template <class T, int count>
__device__ __forceinline__ void store_pack(T* p, const Pack<T, count>& pack) {
  *reinterpret_cast<Pack<T, count>*>(p) = pack;
}

// gain * leaky(scale * x + noise + bias). Rounded as on the CPU: the first addition is fused with the multiplication.
template <class T>
__device__ __forceinline__ T bias_act_value(T x, T scale, bool noisy, T noise, T bias, T slope, T gain) {
  const T first = std::fma(x, scale, noisy ? noise : bias), v = noisy ? first + bias : first;
  return gain * (v > 0 ? v : v * slope);
}

}  // namespace g2s::kernels
