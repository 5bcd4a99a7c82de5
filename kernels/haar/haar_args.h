#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// Bands to a picture, as haar.h says.
template <class T>
struct HaarSynthesisArgs {
  const T* x;      // [batch, rows, columns, 4 channels]
  const T* style;  // [batch, 4 channels], what x is multiplied by, or null
  T* y;            // [batch, 2 rows, 2 columns, channels]
  std::int64_t batch, rows, columns, channels;
};

// A picture to bands. With a style the gradients of a synthesis: bands d become style d and the sum of x d over pixels.
template <class T>
struct HaarAnalysisArgs {
  const T* y;      // [batch, 2 rows, 2 columns, channels]
  const T* style;  // CPU: [batch, 4 channels] or null
  const T* x;      // CPU: like bands, with dstyle
  T* bands;        // [batch, rows, columns, 4 channels]; null on the CPU where only dstyle is wanted
  T* dstyle;       // CPU: [batch, 4 channels] or null
  T* partial;      // CPU: [batch, haar_pieces, 4 channels], with dstyle
  std::int64_t batch, rows, columns, channels;
};

// On the CPU a piece of work is so many rows of bands of one image.
static constexpr std::int64_t haar_piece_rows(std::int64_t columns, std::int64_t channels) {
  const std::int64_t row = 4 * columns * channels, rows = 65536 / (row < 1 ? 1 : row);
  return rows < 1 ? 1 : rows;
}
static constexpr std::int64_t haar_pieces(std::int64_t rows, std::int64_t columns, std::int64_t channels) {
  const std::int64_t piece = haar_piece_rows(columns, channels);
  return (rows + piece - 1) / piece;
}

G2S_REAL_KERNEL(haar_synthesis, HaarSynthesisArgs)
G2S_REAL_KERNEL(haar_analysis, HaarAnalysisArgs)

}  // namespace g2s::kernels
