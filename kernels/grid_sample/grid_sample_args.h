// Arguments of the grid_sample kernels. T is float or double.
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

template <class T>
struct GridSampleArgs {
  std::int64_t batch;          // of the grid
  std::int64_t x_batch;        // batch, or 1: x is shared
  std::int64_t height, width;  // of x
  std::int64_t rows, columns;  // of the grid
  std::int64_t channels;
  bool nearest;
  const T* x;     // [x_batch,height,width,channels]
  const T* grid;  // [batch,rows,columns,2]
  T* y;           // [batch,rows,columns,channels]: output of the forward kernel
  const T* dy;
  T* dgrid;       // [batch,rows,columns,2], or null: not wanted
  T* dx;          // [x_batch,height,width,channels], or null: not wanted
  T* partial;     // scratch for dx: on the CPU, when chunks > 1, [x_batch,chunks,height,width,channels]; on CUDA [grid_sample_parts,4,channels]
  std::int64_t chunks;    // see grid_sample_chunks
  std::int32_t* scratch;  // on CUDA, for dx: grid_sample_scratch numbers
};

// Sampled positions scatter into dx, so each image of x takes its rows of the grid in order, cut into this many chunks that are summed one
// by one.
inline constexpr std::int64_t grid_sample_chunks(std::int64_t x_batch, std::int64_t batch, std::int64_t rows) {
  std::int64_t wanted = (8 + x_batch - 1) / x_batch, available = batch / x_batch * rows / 16;
  return available < 1 ? 1 : wanted < available ? wanted : available;
}

// On CUDA positions are put into lists by the cell of pixels that they lie in. What a list has beyond this many is added in parts.
inline constexpr std::int64_t grid_sample_part = 4096;
// The parts that lists may have together, those of one part left out.
inline constexpr std::int64_t grid_sample_parts(std::int64_t positions) { return 2 * (positions / grid_sample_part); }
inline constexpr std::int64_t grid_sample_scratch(std::int64_t x_batch, std::int64_t height, std::int64_t width, std::int64_t positions) {
  return 2 + 4 * x_batch * (height + 1) * (width + 1) + 5 * positions + 2 * grid_sample_parts(positions);
}

G2S_REAL_KERNEL(grid_sample_kernel, GridSampleArgs)
G2S_REAL_KERNEL(grid_sample_backward_kernel, GridSampleArgs)

}  // namespace g2s::kernels
