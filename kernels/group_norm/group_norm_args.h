#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// Sums run over chunks of this many pixels of one image; it depends on sizes alone.
static constexpr std::int64_t group_norm_chunk(std::int64_t channels) {
  return channels >= 256 ? 64 : 16384 / (channels < 1 ? 1 : channels);
}
static constexpr std::int64_t group_norm_chunks(std::int64_t pixels, std::int64_t channels) {
  return (pixels + group_norm_chunk(channels) - 1) / group_norm_chunk(channels);
}

// xhat = (x - mean) * rstd over a group, y = leaky(weight * xhat + bias)
template <class T>
struct GroupNormArgs {
  const T* x;             // [batch, pixels, channels]
  const T* weight;        // [channels]
  const T* bias;          // [channels]
  T* y;                   // like x
  double* stats;          // [batch, groups, 2]: mean and 1 / sqrt(variance + eps)
  T* partial;             // [batch, group_norm_chunks, 3, channels]: shift, sum and sum of squares of x - shift over a chunk
  T* coefficients;        // CUDA: [batch, 2, channels]: weight * rstd and bias - mean * weight * rstd; null on the CPU
  std::int64_t batch;
  std::int64_t pixels;
  std::int64_t channels;
  std::int64_t groups;
  double eps;
  T slope;
};

// The gradients that group_norm.h lists, and its dpre.
template <class T>
struct GroupNormGradArgs {
  const T* dy;            // [batch, pixels, channels]
  const T* x;             // like dy
  const T* weight;        // [channels]
  const T* bias;          // [channels]
  const double* stats;    // [batch, groups, 2] of the forward pass
  T* dx;                  // like dy, or null: not wanted
  T* dweight;             // [channels] or null
  T* dbias;               // [channels] or null
  T* partial;             // [batch, group_norm_chunks, 2, channels]: sums of dpre and of dpre * xhat over a chunk
  double* sums;           // [batch, 2, channels]: the same over an image
  T* coefficients;        // CUDA: [batch, 5, channels]: as in the forward pass, then keep, slant and level of keep * dpre + slant * x + level = dx
  std::int64_t batch;
  std::int64_t pixels;
  std::int64_t channels;
  std::int64_t groups;
  T slope;
};

G2S_REAL_KERNEL(group_norm, GroupNormArgs)
G2S_REAL_KERNEL(group_norm_grad, GroupNormGradArgs)

}  // namespace g2s::kernels
