#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// y = gain * leaky(scale * x + noise_weight * noise + bias)
template <class T>
struct BiasActArgs {
  const T* x;             // [batch, pixels, channels]
  T* y;                   // like x
  std::uint8_t* mask;     // like x: 1 where y is positive; or null
  const T* scale;         // [batch, channels] or null
  const T* noise;         // [batch or 1, pixels] or null
  const T* noise_weight;  // [1] with noise
  const T* bias;          // [channels] or null
  std::int64_t batch;
  std::int64_t pixels;
  std::int64_t channels;
  bool noise_shared;      // one noise map for the whole batch
  T slope;
  T gain;
};

// The gradients that bias_act.h lists.
// Where y is given, x is not (CPU alone): scale * x = (y > 0 ? y : y / slope) / gain - noise_weight * noise - bias.
template <class T>
struct BiasActGradArgs {
  const T* dy;            // [batch, pixels, channels]
  const T* y;             // like dy, or null
  const std::uint8_t* mask;  // like dy: 1 where y is positive; null with y and where slope is 1
  const T* x;             // like dy, with dscale or dnoise_weight, unless there is y
  const T* scale;         // [batch, channels] or null
  const T* noise;         // [batch or 1, pixels] or null
  const T* noise_weight;  // [1] with noise
  const T* bias;          // [channels] or null
  T* dx;                  // like dy
  T* dscale;              // [batch, channels] or null
  T* dbias;               // [channels] or null
  T* dnoise_weight;       // [1] or null
  T* partial;             // sums over chunks, null if none is wanted. CPU: [batch, bias_act_chunks, 3, channels] for bias, scale, noise.
                          // CUDA: bias_act_partial_cuda elements
  std::int64_t batch;
  std::int64_t pixels;
  std::int64_t channels;
  bool noise_shared;
  T slope;
  T gain;
};

// Sums run over chunks of this many pixels of one image; it depends on sizes alone.
static constexpr std::int64_t bias_act_chunk(std::int64_t channels) { return channels >= 256 ? 64 : 16384 / (channels < 1 ? 1 : channels); }
// Chunks of one image.
static constexpr std::int64_t bias_act_chunks(std::int64_t pixels, std::int64_t channels) {
  return (pixels + bias_act_chunk(channels) - 1) / bias_act_chunk(channels);
}

// On CUDA a block of 256 threads takes `chunk` pixels of one image and, of each, lanes * vector channels.
struct BiasActTiling {
  std::int64_t vector;  // channels of one thread
  std::int64_t lanes;   // threads beside each other, a power of 2
  std::int64_t channel_blocks;
  std::int64_t chunk, chunks;  // chunks of one image
};
static constexpr std::int64_t bias_act_block = 256;
static constexpr BiasActTiling bias_act_tiling(std::int64_t pixels, std::int64_t channels, bool f64) {
  BiasActTiling c{!f64 && channels % 4 == 0 ? 4 : 1, 1, 0, 0, 0};
  while (c.lanes < 32 && c.lanes * c.vector < channels) c.lanes *= 2;
  c.channel_blocks = (channels + c.lanes * c.vector - 1) / (c.lanes * c.vector);
  const std::int64_t rows = bias_act_block / c.lanes;
  // Long chunks leave few sums behind, but must not leave a device idle.
  const std::int64_t wanted = pixels / (256 * rows);
  c.chunk = rows * (wanted < 8 ? 8 : wanted > 64 ? 64 : wanted);
  c.chunks = (pixels + c.chunk - 1) / c.chunk;
  return c;
}
// [batch, chunks, 2, channels] for bias and scale, then [batch, chunks, channel_blocks] for noise.
static constexpr std::int64_t bias_act_partial_cuda(const BiasActTiling& c, std::int64_t batch, std::int64_t channels) {
  return batch * c.chunks * (2 * channels + c.channel_blocks);
}

template <class T>
struct BiasActMaskArgs {
  const T* y;           // [count]
  std::uint8_t* mask;   // like y: 1 where y is positive
  std::int64_t count;
};

G2S_REAL_KERNEL(bias_act_mask, BiasActMaskArgs)
G2S_REAL_KERNEL(bias_act, BiasActArgs)
G2S_REAL_KERNEL(bias_act_grad, BiasActGradArgs)

}  // namespace g2s::kernels
