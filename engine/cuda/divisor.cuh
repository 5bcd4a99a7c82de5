// A division by a number that the host knows, as a product and a shift (Granlund and Montgomery, 1994).
#pragma once

#include "engine/cuda/launch.cuh"

namespace g2s::cuda {

struct Divisor {
  unsigned size, factor, shift;

  explicit Divisor(std::int64_t d = 1) : size(static_cast<unsigned>(d)), shift(0) {
    while (std::int64_t{1} << shift < d) ++shift;
    factor = static_cast<unsigned>((((std::int64_t{1} << shift) - d) << 32) / d + 1);
  }
  // n / size, for n and size below 2^31.
  __device__ __forceinline__ unsigned quotient(unsigned n) const { return (__umulhi(n, factor) + n) >> shift; }
};

}  // namespace g2s::cuda
