// Neighbouring elements that a thread reads or writes at once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/cuda/launch.cuh"

namespace g2s::cuda {

// Hardware reads 16 bytes at once; more are several reads.
template <class T, int n>
struct alignas(sizeof(T) * n < 16 ? sizeof(T) * n : 16) Pack {
  T v[n];
};

template <int n, class T>
__device__ __forceinline__ Pack<T, n> load(const T* from) {
#if defined(G2S_COUNT_MEMORY)
  Pack<T, n> pack;
  simt::read_vector(&pack, from, sizeof pack);
  return pack;
#else
  return *reinterpret_cast<const Pack<T, n>*>(from);
#endif
}
template <class T, int n>
__device__ __forceinline__ void store(T* to, const Pack<T, n>& pack) {
#if defined(G2S_COUNT_MEMORY)
  simt::write_vector(to, &pack, sizeof pack);
#else
  *reinterpret_cast<Pack<T, n>*>(to) = pack;
#endif
}

// Whether places lie such that packs of n may be read from all of them. Null counts as fine.
template <int n, class... T>
inline bool packable(const T*... places) {
  return ((reinterpret_cast<std::uintptr_t>(places) % (sizeof(T) * n) == 0) && ...);
}

}  // namespace g2s::cuda
