// The matrix products behind matmul and the convolutions, on plain arguments (f32).
#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// Columns of a packed panel are zero-padded to a multiple of this, whatever the instruction set.
constexpr std::int64_t panel_padding = 64;
constexpr std::int64_t padded_columns(std::int64_t n) { return (n + panel_padding - 1) / panel_padding * panel_padding; }

// Rewrites a weight w[t, k, n], given by its strides, as panels [n / panel][t][k][panel] that the products read sequentially.
struct PackArgs {
  const float* source;
  float* target;                    // taps * k * padded_columns(n)
  std::int64_t taps, k, n;          // sizes
  const std::int64_t* tap_offsets;  // [taps] where in `source` each tap starts
  std::int64_t k_stride, n_stride;  // elements; one of the two is 1
};

// What a result y[b, pixel, n] becomes before it is stored: gain * leaky(scale[b, n] * y + noise_weight * noise[b, pixel] + bias[n], slope).
struct EpilogueArgs {
  bool wanted;
  const float* scale;         // [batch, n] or null
  const float* noise;         // [batch or 1, pixels] or null
  const float* noise_weight;  // [1] with noise
  const float* bias;          // [n] or null
  bool noise_shared;          // one noise map for the whole batch
  float slope, gain;
};

enum class WeightLayout : std::int32_t {
  panels,  // as PackArgs makes it
  kn,      // w[t, k, n] = w[tap_offsets[t] + k * w_stride + n]
  nk,      // w[t, k, n] = w[tap_offsets[t] + n * w_stride + k]
};

// A product with an indirectly addressed left side: convolution, its input gradient and matrix products are all of this form.
//   y[b, y_row(i), y_column(j), n] = sum_{t, k} x[b, i * x_step + tap_rows[t], j * x_step + tap_columns[t], k] * w[t, k, n]
// with y_row(i) = y_first_row + i * y_step; x is zero outside its image.
struct IndirectGemmArgs {
  const float* x;  // [batch, x_rows, x_columns, k]
  const float* w;  // in `layout`
  float* y;        // [batch, y_rows, y_columns, n]
  std::int64_t batch, x_rows, x_columns, k;
  std::int64_t y_rows, y_columns, n;
  std::int64_t rows, columns;                            // sizes of i and j
  std::int64_t y_first_row, y_first_column, y_step;      // where in y the results go
  std::int64_t x_step;                                   // the stride of a convolution
  std::int64_t taps;                                     // how many; may be 0 (y is zeroed)
  const std::int32_t* tap_rows;                          // [taps]
  const std::int32_t* tap_columns;                       // [taps]
  std::int64_t tap_width;                                // k elements of this many neighbouring pixels are read as one longer tap; then
                                                         // every tap must lie inside x, and k counts the elements of one pixel
  const float* zeros;                                    // [k] zeros: what a tap outside the image reads
  WeightLayout layout;
  const std::int64_t* tap_offsets;                       // [taps], for layouts kn and nk
  std::int64_t w_stride;                                 // for layouts kn and nk
  EpilogueArgs epilogue;
};

// One factor of a product over pixels: an image seen through a window that moves by `step` pixels.
struct PixelFactor {
  const float* data;                 // [batch, rows, columns, pitch]
  std::int64_t rows, columns, pitch;
  std::int64_t step;
  std::int64_t width;                // elements taken from each position; more than `pitch` runs on into the next pixels
};

// The gradient to the weights, a product over pixels:
//   c[m, t, n] = sum_{b, i, j} f[b, i * f.step, j * f.step, m] * g[b, i * g.step, j * g.step, n]
// where one of the factors is moved by the tap (tap_rows[t], tap_columns[t]) and is zero outside its image.
struct PixelGemmArgs {
  PixelFactor f, g;
  float* c;  // element (m, t, n) at m * c_m_stride + t * c_tap_stride + n
  std::int64_t c_m_stride, c_tap_stride;
  std::int64_t batch, rows, columns;  // sizes of b, i, j
  std::int64_t taps;
  const std::int32_t* tap_rows;     // [taps]
  const std::int32_t* tap_columns;  // [taps]
  bool taps_move_f;                 // else g
  std::int64_t split_k;             // the pixels are cut into this many parts, summed in order at the end
  float* partial;                   // [split_k, size of c] unless split_k is 1
};

// PixelGemmArgs::split_k for a result of m * taps * n elements: more than one where it has too few to keep several threads busy.
constexpr std::int64_t pixel_split_k(std::int64_t pixels, std::int64_t m, std::int64_t taps, std::int64_t n) {
  const std::int64_t pieces = (m + 5) / 6 * taps * ((n + 63) / 64), most = pixels / 2048;
  const std::int64_t split_k = (16 + pieces - 1) / pieces;
  return split_k < most ? split_k : most > 1 ? most : 1;
}

// Memory of the calling thread, at least `floats` long and 64-byte aligned, valid until its next call. Kept from call to call.
float* thread_scratch(std::int64_t floats);

G2S_ISA_KERNEL(pack_panels, PackArgs)
G2S_ISA_KERNEL(indirect_gemm, IndirectGemmArgs)
G2S_ISA_KERNEL(pixel_gemm, PixelGemmArgs)

}  // namespace g2s::kernels
