#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

template <class T>
struct MaxPoolArgs {
  const T* x;             // [batch, height, width, channels]
  T* y;                   // [batch, out_height, out_width, channels]
  std::uint8_t* argmax;   // like y: where in its window the first largest element is, row * k + column; null if nobody asks
  std::int64_t batch;
  std::int64_t height;
  std::int64_t width;
  std::int64_t channels;
  std::int64_t out_height;
  std::int64_t out_width;
  std::int32_t k;         // window size, at most 16
  std::int32_t stride;
};

template <class T>
struct MaxPoolGradArgs {
  const T* dy;                 // [batch, out_height, out_width, channels]
  const std::uint8_t* argmax;  // like dy
  T* dx;                       // [batch, height, width, channels]
  std::int64_t batch;
  std::int64_t height;
  std::int64_t width;
  std::int64_t channels;
  std::int64_t out_height;
  std::int64_t out_width;
  std::int32_t k;
  std::int32_t stride;
};

G2S_REAL_KERNEL(max_pool, MaxPoolArgs)
G2S_REAL_KERNEL(max_pool_grad, MaxPoolGradArgs)

}  // namespace g2s::kernels
