// Several neighbours in memory as one load or store.
#pragma once

#include "engine/cuda/launch.cuh"

namespace g2s::kernels {

template <class T, int count>
struct alignas(sizeof(T) * count < 16 ? sizeof(T) * count : 16) Pack { T v[count]; };

template <int count, class T>
__device__ __forceinline__ Pack<T, count> load_pack(const T* p) {
  return *reinterpret_cast<const Pack<T, count>*>(p);
}

template <class T, int count>
__device__ __forceinline__ void store_pack(T* p, const Pack<T, count>& pack) {
  *reinterpret_cast<Pack<T, count>*>(p) = pack;
}

}  // namespace g2s::kernels
