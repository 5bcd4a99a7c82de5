// Counter-based random numbers (Philox 4x32-10, Salmon et al. 2011): the same on every device and at any thread count. Number 4 i + j of a
// tensor is word j of the block at position + i. They are constants: no derivative.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// A stream of random numbers: a seed, a stream name (so that parts of a program do not disturb each other) and a position. As part of a
// CapturedGraph's work it gives new numbers each time, and stays where it is meanwhile.
class Random {
 public:
  explicit Random(std::uint64_t seed, const char* stream = "");
  Tensor uniform(const Shape& shape, double lo = 0, double hi = 1, DType dtype = DType::f32);   // lo + (hi - lo) u, u 24 bits of a word, in [lo, hi)
  // mean + sd z, by Box and Muller from words as a, b in [0,1]: z = sqrt(-2 log a) times cos or sin of 2 pi b; own log and sincos.
  Tensor normal(const Shape& shape, double mean = 0, double sd = 1, DType dtype = DType::f32);
  std::vector<std::int64_t> permutation(std::int64_t n);                                         // Fisher-Yates
  std::uint64_t position() const { return position_; }  // blocks of four numbers used so far: state for checkpoints
  void seek(std::uint64_t position) { position_ = position; }

 private:
  Tensor advance(const Tensor& y);

  std::uint64_t key_, position_ = 0;
};

}  // namespace g2s
