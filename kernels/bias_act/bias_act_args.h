#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// y = gain * leaky(scale * x + noise_weight * noise + bias)
template <class T>
struct BiasActArgs {
  const T* x;             // [batch, pixels, channels]
  T* y;                   // like x
  std::uint8_t* gate;     // like x: 1 where y is positive; or null
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

// With dpre = dy * gain * (y > 0 ? 1 : slope):
// dx = scale * dpre, dscale = sum over pixels of x * dpre, dbias = sum of dpre, dnoise_weight = sum of noise * dpre.
// Where y is given, x is not: scale * x = (y > 0 ? y : y / slope) / gain - noise_weight * noise - bias.
template <class T>
struct BiasActGradArgs {
  const T* dy;            // [batch, pixels, channels]
  const T* y;             // like dy, or null
  const std::uint8_t* gate;  // like dy: 1 where y is positive; null with y and where slope is 1
  const T* x;             // like dy, with dscale or dnoise_weight, unless there is y
  const T* scale;         // [batch, channels] or null
  const T* noise;         // [batch or 1, pixels] or null
  const T* noise_weight;  // [1] with noise
  const T* bias;          // [channels] or null
  T* dx;                  // like dy
  T* dscale;              // [batch, channels] or null
  T* dbias;               // [channels] or null
  T* dnoise_weight;       // [1] or null
  T* partial;             // [batch, bias_act_chunks, 3, channels]: sums over a chunk for bias, scale, noise; null if none is wanted
  std::int64_t batch;
  std::int64_t pixels;
  std::int64_t channels;
  bool noise_shared;
  T slope;
  T gain;
};

// Sums run over chunks of this many pixels of one picture; it depends on sizes alone.
static constexpr std::int64_t bias_act_chunk(std::int64_t channels) { return channels >= 256 ? 64 : 16384 / (channels < 1 ? 1 : channels); }
// Chunks of one picture.
static constexpr std::int64_t bias_act_chunks(std::int64_t pixels, std::int64_t channels) {
  return (pixels + bias_act_chunk(channels) - 1) / bias_act_chunk(channels);
}

template <class T>
struct BiasActGateArgs {
  const T* y;           // [count]
  std::uint8_t* gate;   // like y: 1 where y is positive
  std::int64_t count;
};

G2S_ISA_KERNEL(bias_act_gate_f32_cpu, BiasActGateArgs<float>)
G2S_ISA_KERNEL(bias_act_gate_f64_cpu, BiasActGateArgs<double>)
G2S_ISA_KERNEL(bias_act_f32_cpu, BiasActArgs<float>)
G2S_ISA_KERNEL(bias_act_f64_cpu, BiasActArgs<double>)
G2S_ISA_KERNEL(bias_act_grad_f32_cpu, BiasActGradArgs<float>)
G2S_ISA_KERNEL(bias_act_grad_f64_cpu, BiasActGradArgs<double>)

}  // namespace g2s::kernels
