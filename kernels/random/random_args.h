#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// Philox 4x32-10: block i gives four 32-bit words for the 128-bit counter (position + i, 0) and a 64-bit key.
// The arithmetic on them is single precision without fused multiply-adds, so that every device gives the same bits.
struct RandomArgs {
  std::uint64_t key, position;
  std::int64_t n;  // numbers wanted: number 4 i + j comes from word j of block i
  float* y;
  // Uniform: low + width * u, at most `last`. Normal: mean (low) + standard deviation (width) * z.
  float low, width, last;
  const std::uint64_t* counter = nullptr;  // in the device's memory, instead of `position`: a graph finds another one at each launch
};

struct PhiloxArgs {
  std::uint32_t counter[4], key[2];
  std::uint32_t* y;  // four words
};

G2S_ISA_KERNEL(philox_cpu, PhiloxArgs)
G2S_KERNEL(uniform, RandomArgs)
G2S_KERNEL(normal, RandomArgs)

}  // namespace g2s::kernels
