// Numbers from names: the same in every language, for golden files and tests. Not random numbers of the method (see kernels/random).
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// FNV-1a, 64 bits.
std::uint64_t fnv1a64(std::string_view text);

// Element i of the sequence that belongs to a name's hash: uniform in [-1, 1), a multiple of 2^-52 (SplitMix64 of hash + i).
inline double hashed_uniform(std::uint64_t hash, std::uint64_t i) {
  std::uint64_t x = hash + i + 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1p-53 * 2 - 1;
}

// u(name, 0), u(name, 1), .. in row-major order of `shape`; f32 is the rounded f64.
Tensor hashed_tensor(std::string_view name, const Shape& shape, DType dtype = DType::f64);

}  // namespace g2s
