#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// Sums run over chunks of this many pixels of one image; it depends on sizes alone.
static constexpr std::int64_t lpips_chunk(std::int64_t channels) { return channels >= 1024 ? 16 : 16384 / (channels < 1 ? 1 : channels); }
static constexpr std::int64_t lpips_chunks(std::int64_t pixels, std::int64_t channels) {
  return (pixels + lpips_chunk(channels) - 1) / lpips_chunk(channels);
}

// On CUDA: pixels of one image in a partial sum.
constexpr std::int64_t lpips_cuda_chunk = 32;
static constexpr std::int64_t lpips_cuda_chunks(std::int64_t pixels) { return (pixels + lpips_cuda_chunk - 1) / lpips_cuda_chunk; }

// d[b] = mean over pixels of the sum over channels of head * (a / (|a| + 1e-10) - b / (|b| + 1e-10))^2
template <class T>
struct LpipsHeadArgs {
  const T* a;             // [batch, pixels, channels]
  const T* b;             // like a
  const T* head;          // [channels]
  T* d;                   // [batch]
  double* partial;        // [batch, lpips_chunks]; on CUDA [batch, lpips_cuda_chunks]
  std::int64_t batch;
  std::int64_t pixels;
  std::int64_t channels;
};

template <class T>
struct LpipsHeadGradArgs {
  const T* dd;            // [batch] gradient of d
  const T* a;             // [batch, pixels, channels]
  const T* b;             // like a
  const T* head;          // [channels]
  T* da;                  // like a, or null: not wanted
  T* db;                  // like a, or null: not wanted
  std::int64_t batch;
  std::int64_t pixels;
  std::int64_t channels;
};

G2S_REAL_KERNEL(lpips_head, LpipsHeadArgs)
G2S_REAL_KERNEL(lpips_head_grad, LpipsHeadGradArgs)

}  // namespace g2s::kernels
