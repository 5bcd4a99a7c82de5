#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// Rows of one image in a partial sum; it depends on sizes alone.
static constexpr std::int64_t smooth_rows(std::int64_t row) { return row >= 8192 ? 1 : 8192 / (row < 1 ? 1 : row); }
static constexpr std::int64_t smooth_blocks(std::int64_t height, std::int64_t row) {
  return (height + smooth_rows(row) - 1) / smooth_rows(row);
}

// On CUDA: elements of all images in a partial sum.
constexpr std::int64_t smooth_cuda_block = 1024;
static constexpr std::int64_t smooth_cuda_blocks(std::int64_t elements) { return (elements + smooth_cuda_block - 1) / smooth_cuda_block; }

// The weights are one over the number of second differences of each kind; dxy and dyx are equal, `xy` counts both.
template <class T>
struct SmoothArgs {
  const T* x;             // [batch, height, row], row = width * channels
  T* loss;                // [1]
  double* partial;        // [batch, smooth_blocks]; on CUDA [smooth_cuda_blocks]
  std::int64_t batch;
  std::int64_t height;
  std::int64_t row;
  std::int64_t channels;
  double xx, xy, yy;
};

template <class T>
struct SmoothGradArgs {
  const T* dloss;         // [1]
  const T* x;             // [batch, height, row]
  T* dx;                  // like x
  std::int64_t batch;
  std::int64_t height;
  std::int64_t row;
  std::int64_t channels;
  double xx, xy, yy;
};

G2S_REAL_KERNEL(smooth, SmoothArgs)
G2S_REAL_KERNEL(smooth_grad, SmoothGradArgs)

}  // namespace g2s::kernels
