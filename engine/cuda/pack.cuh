// Neighbouring elements that a thread reads or writes at once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace g2s::cuda {

// Hardware reads 16 bytes at once; more are several reads.
template <class T, int n>
struct alignas(sizeof(T) * n < 16 ? sizeof(T) * n : 16) Pack {
  T v[n];
};

template <int n, class T>
__device__ __forceinline__ Pack<T, n> load(const T* from) {
  return *reinterpret_cast<const Pack<T, n>*>(from);
}
template <class T, int n>
__device__ __forceinline__ void store(T* to, const Pack<T, n>& pack) {
  *reinterpret_cast<Pack<T, n>*>(to) = pack;
}

// Whether places lie such that packs of n may be read from all of them. Null counts as fine.
template <int n, class... T>
inline bool packable(const T*... places) {
  return ((reinterpret_cast<std::uintptr_t>(places) % (sizeof(T) * n) == 0) && ...);
}

}  // namespace g2s::cuda
