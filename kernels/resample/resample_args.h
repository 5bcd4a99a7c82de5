#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

template <class T>
struct ResampleAxisArgs {
  const std::int32_t* start;  // [out] first input of an output
  const std::int32_t* count;  // [out] number of inputs of an output
  const T* weight;            // [out, taps], 0 beyond count
  std::int64_t taps;          // the largest count
  std::int64_t in;            // input length
  std::int64_t out;           // output length
};

template <class T>
struct ResampleArgs {
  const T* x;                 // [batch, rows.in, cols.in, channels]
  T* y;                       // [batch, rows.out, cols.out, channels]
  std::int64_t batch;
  std::int64_t channels;
  ResampleAxisArgs<T> rows;   // along the height
  ResampleAxisArgs<T> cols;   // along the width
  // On the CPU, for few channels, where a pixel does not fill a vector, the table of the width spread over columns and channels; null
  // otherwise.
  const std::int32_t* flat_index;  // [cols.out * channels] offset of the first input element within its row
  const T* flat_weight;            // [cols.taps, cols.out * channels], every output has cols.taps inputs (0 weights fill up)
};

G2S_REAL_KERNEL(resample, ResampleArgs)

}  // namespace g2s::kernels
