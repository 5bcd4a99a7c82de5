// Sums that several pieces of work have begun. Only for *.isa.cpp files.
#pragma once

#include "kernels/sizes.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

// out[i] = the sum of partial[k, i] over k < parts, in order and in double; i < width.
template <class T>
inline void add_parts(const T* partial, std::int64_t parts, std::int64_t width, T* out) {
  constexpr std::int64_t block = 64;
  for (std::int64_t first = 0; first < width; first += block) {
    double total[block] = {};
    const std::int64_t n = min(block, width - first);
    for (std::int64_t k = 0; k < parts; ++k)
      for (std::int64_t i = 0; i < n; ++i) total[i] += static_cast<double>(partial[k * width + first + i]);
    for (std::int64_t i = 0; i < n; ++i) out[first + i] = static_cast<T>(total[i]);
  }
}

}  // namespace
}  // namespace g2s::kernels::G2S_ISA
