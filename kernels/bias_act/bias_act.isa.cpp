#include "engine/parallel.h"
#include "kernels/bias_act/bias_act_args.h"
#include "kernels/sizes.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

using std::int64_t;
using std::uint8_t;

constexpr int64_t piece_elements = 32768;
constexpr int64_t few_channels = 32;   // fewer do not fill vectors: several pixels are then taken as one of more channels
constexpr int64_t pattern_size = 64;

// How many pixels are treated as one. Noise differs from pixel to pixel.
inline int64_t pixels_at_once(int64_t channels, bool noise) { return channels < few_channels && !noise ? pattern_size / channels : 1; }

// The per-channel values of one image, repeated for the pixels treated as one.
template <class T>
inline const T* repeat(const T* values, int64_t channels, int64_t times, T fallback, T* pattern) {
  if (values && times == 1) return values;
  if (!values && times == 1) return nullptr;
  for (int64_t i = 0; i < times * channels; ++i) pattern[i] = values ? values[i % channels] : fallback;
  return pattern;
}

template <bool Scale, bool Noise, bool Bias, bool WithMask, class T>
inline void forward_row(const T* x, const T* scale, T noise, const T* bias, T slope, T gain, T* y, uint8_t* mask, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    T v = x[i];
    if constexpr (Scale) v *= scale[i];
    if constexpr (Noise) v += noise;
    if constexpr (Bias) v += bias[i];
    y[i] = gain * (v > 0 ? v : v * slope);
    if constexpr (WithMask) mask[i] = y[i] > 0;
  }
}

template <bool Scale, bool Noise, bool Bias, bool WithMask, class T>
void forward(const BiasActArgs<T>& a) {
  const int64_t block = max(1, piece_elements / a.channels), blocks = (a.pixels + block - 1) / block;
  const int64_t at_once = pixels_at_once(a.channels, Noise);
  parallel_for(a.batch * blocks, [&](int64_t piece) {
    const int64_t b = piece / blocks, begin = piece % blocks * block, end = min(begin + block, a.pixels);
    T scale_pattern[pattern_size], bias_pattern[pattern_size];
    const T* scale = repeat(Scale ? a.scale + b * a.channels : nullptr, a.channels, at_once, T(1), scale_pattern);
    const T* bias = repeat(Bias ? a.bias : nullptr, a.channels, at_once, T(0), bias_pattern);
    const T* noise = Noise ? a.noise + (a.noise_shared ? 0 : b * a.pixels) : nullptr;
    for (int64_t p = begin; p < end; p += at_once) {
      const int64_t at = (b * a.pixels + p) * a.channels;
      forward_row<Scale, Noise, Bias, WithMask>(a.x + at, scale, Noise ? a.noise_weight[0] * noise[p] : T(0), bias, a.slope, a.gain,
                                                a.y + at, WithMask ? a.mask + at : nullptr, min(at_once, end - p) * a.channels);
    }
  });
}

template <bool WithMask, class T>
void forward(const BiasActArgs<T>& a) {
  switch ((a.scale ? 4 : 0) + (a.noise ? 2 : 0) + (a.bias ? 1 : 0)) {
    case 0: return forward<false, false, false, WithMask>(a);
    case 1: return forward<false, false, true, WithMask>(a);
    case 2: return forward<false, true, false, WithMask>(a);
    case 3: return forward<false, true, true, WithMask>(a);
    case 4: return forward<true, false, false, WithMask>(a);
    case 5: return forward<true, false, true, WithMask>(a);
    case 6: return forward<true, true, false, WithMask>(a);
    default: return forward<true, true, true, WithMask>(a);
  }
}

template <class T>
void bias_act(const BiasActArgs<T>& a) {
  if (a.mask) forward<true>(a);
  else forward<false>(a);
}

template <int N>
struct Count {
  static constexpr int value = N;
};

// Which sums are taken.
enum class Sums { none, bias, scale, all };

// What tells where the activation passed the gradient on.
enum class MaskSource { none, mask, output };

template <class T>
struct GradRows {
  const T *dy, *y, *x, *scale, *noise;  // y or x
  const uint8_t* mask;
  T slope, gain;
  T *dx, *sums;
  int64_t stride;  // from sum to sum
};

// Rows pixels (or groups of pixels) of n elements; the sums grow by theirs.
template <int Rows, MaskSource Act, bool Scale, Sums Wanted, class T>
inline void grad_rows(const GradRows<T>& a, int64_t n) {
  const T low = a.gain * a.slope, gain = a.gain, inverse = 1 / a.gain, inverse_low = 1 / low;
  const T *dy = a.dy, *y = a.y, *x = a.x, *scale = a.scale;
  const uint8_t* mask = a.mask;
  T *dx = a.dx, *sums = a.sums;
  const int64_t stride = a.stride;
  T nz[Rows];
  for (int r = 0; r < Rows; ++r) nz[r] = Wanted == Sums::all ? a.noise[r] : T(0);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    T bias_sum = 0, scale_sum = 0, noise_sum = 0;
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      const int64_t at = r * n + i;
      T passed = gain;
      if constexpr (Act == MaskSource::mask) passed = mask[at] ? gain : low;
      if constexpr (Act == MaskSource::output) passed = y[at] > 0 ? gain : low;
      const T d = dy[at] * passed;
      dx[at] = Scale ? d * scale[i] : d;
      if constexpr (Wanted >= Sums::bias) bias_sum += d;
      // Of the output: what the activation was applied to, noise and bias included.
      if constexpr (Wanted >= Sums::scale && Act == MaskSource::output) scale_sum += d * (y[at] * (y[at] > 0 ? inverse : inverse_low));
      if constexpr (Wanted >= Sums::scale && Act != MaskSource::output) scale_sum += d * x[at];
      if constexpr (Wanted >= Sums::all) noise_sum += d * nz[r];
    }
    if constexpr (Wanted >= Sums::bias) sums[i] += bias_sum;
    if constexpr (Wanted >= Sums::scale) sums[stride + i] += scale_sum;
    if constexpr (Wanted >= Sums::all) sums[2 * stride + i] += noise_sum;
  }
}

template <MaskSource Act, bool Scale, Sums Wanted, class T>
void grad_chunk(const BiasActGradArgs<T>& a, int64_t piece, int64_t b, int64_t begin, int64_t end) {
  const int64_t channels = a.channels, at_once = pixels_at_once(channels, Wanted == Sums::all), n = at_once * channels;
  T scale_pattern[pattern_size], local[3 * pattern_size];
  const T* scale = repeat(Scale ? a.scale + b * channels : nullptr, channels, at_once, T(1), scale_pattern);
  const T* noise = Wanted == Sums::all ? a.noise + (a.noise_shared ? 0 : b * a.pixels) : nullptr;
  T* sums = Wanted == Sums::none ? nullptr : a.partial + piece * 3 * channels;
  if constexpr (Wanted != Sums::none)
    for (int64_t i = 0; i < 3 * channels; ++i) sums[i] = 0;
  for (int64_t i = 0; i < 3 * pattern_size; ++i) local[i] = 0;
  GradRows<T> rows{nullptr, nullptr, nullptr, scale, nullptr, nullptr, a.slope, a.gain, nullptr, at_once > 1 ? local : sums,
                   at_once > 1 ? pattern_size : channels};
  auto take = [&](auto count, int64_t p, int64_t size) {
    const int64_t at = (b * a.pixels + p) * channels;
    rows.dy = a.dy + at;
    rows.dx = a.dx + at;
    if constexpr (Act == MaskSource::output) rows.y = a.y + at;
    if constexpr (Act == MaskSource::mask) rows.mask = a.mask + at;
    if constexpr (Wanted >= Sums::scale && Act != MaskSource::output) rows.x = a.x + at;
    if constexpr (Wanted == Sums::all) rows.noise = noise + p;
    grad_rows<decltype(count)::value, Act, Scale, Wanted>(rows, size);
  };
  int64_t p = begin;
  for (; p + 4 * at_once <= end; p += 4 * at_once) take(Count<4>{}, p, n);
  for (; p < end; p += at_once) take(Count<1>{}, p, min(at_once, end - p) * channels);
  if (Wanted != Sums::none && at_once > 1)
    for (int64_t k = 0; k < 3; ++k)
      for (int64_t i = 0; i < n; ++i) sums[k * channels + i % channels] += local[k * pattern_size + i];
}

// Adds what the chunks [first, last) hold for sum `which`, channel by channel, in double.
template <class T>
inline void add_chunks(const T* partial, int64_t which, int64_t channels, int64_t first, int64_t last, T* out) {
  constexpr int64_t block = 64;
  for (int64_t c = 0; c < channels; c += block) {
    double total[block] = {};
    const int64_t n = min(block, channels - c);
    for (int64_t k = first; k < last; ++k) {
      const T* from = partial + (3 * k + which) * channels + c;
      for (int64_t i = 0; i < n; ++i) total[i] += static_cast<double>(from[i]);
    }
    for (int64_t i = 0; i < n; ++i) out[c + i] = static_cast<T>(total[i]);
  }
}

// dscale of one image from its sums over dpre times what the activation was applied to, which contains noise and bias.
template <class T>
void finish_scale_of_output(const BiasActGradArgs<T>& a, int64_t b, int64_t first, int64_t last) {
  T* out = a.dscale + b * a.channels;
  for (int64_t c = 0; c < a.channels; ++c) {
    double sums[3] = {};
    for (int64_t k = first; k < last; ++k)
      for (int64_t which = 0; which < 3; ++which) sums[which] += static_cast<double>(a.partial[(3 * k + which) * a.channels + c]);
    if (a.bias) sums[1] -= static_cast<double>(a.bias[c]) * sums[0];
    if (a.noise) sums[1] -= static_cast<double>(a.noise_weight[0]) * sums[2];
    out[c] = static_cast<T>(sums[1] / static_cast<double>(a.scale[b * a.channels + c]));
  }
}

template <class T>
void finish_sums(const BiasActGradArgs<T>& a, int64_t chunks) {
  if (a.dbias) add_chunks(a.partial, 0, a.channels, 0, a.batch * chunks, a.dbias);
  for (int64_t b = 0; a.dscale && b < a.batch; ++b) {
    if (a.y) finish_scale_of_output(a, b, b * chunks, (b + 1) * chunks);
    else add_chunks(a.partial, 1, a.channels, b * chunks, (b + 1) * chunks, a.dscale + b * a.channels);
  }
  if (a.dnoise_weight) {
    double total = 0;
    for (int64_t k = 0; k < a.batch * chunks; ++k)
      for (int64_t c = 0; c < a.channels; ++c) total += static_cast<double>(a.partial[(3 * k + 2) * a.channels + c]);
    a.dnoise_weight[0] = static_cast<T>(total);
  }
}

template <MaskSource Act, bool Scale, Sums Wanted, class T>
void backward(const BiasActGradArgs<T>& a) {
  const int64_t chunk = bias_act_chunk(a.channels), chunks = bias_act_chunks(a.pixels, a.channels);
  parallel_for(a.batch * chunks, [&](int64_t piece) {
    const int64_t begin = piece % chunks * chunk;
    grad_chunk<Act, Scale, Wanted>(a, piece, piece / chunks, begin, min(begin + chunk, a.pixels));
  });
  finish_sums(a, chunks);
}

template <MaskSource Act, bool Scale, class T>
void backward(const BiasActGradArgs<T>& a) {
  if (a.dnoise_weight || (a.y && a.dscale && a.noise)) return backward<Act, Scale, Sums::all>(a);
  if (a.dscale) return backward<Act, Scale, Sums::scale>(a);
  if (a.dbias) return backward<Act, Scale, Sums::bias>(a);
  return backward<Act, Scale, Sums::none>(a);
}

template <class T>
void bias_act_grad(const BiasActGradArgs<T>& a) {
  switch ((a.y ? 4 : a.mask ? 2 : 0) + (a.scale ? 1 : 0)) {
    case 0: return backward<MaskSource::none, false>(a);
    case 1: return backward<MaskSource::none, true>(a);
    case 2: return backward<MaskSource::mask, false>(a);
    case 3: return backward<MaskSource::mask, true>(a);
    case 4: return backward<MaskSource::output, false>(a);
    default: return backward<MaskSource::output, true>(a);
  }
}

template <class T>
void mask_of(const BiasActMaskArgs<T>& a) {
  parallel_blocks(a.count, piece_elements, [&](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) a.mask[i] = a.y[i] > 0;
  });
}

}  // namespace

G2S_REAL_ENTRY(bias_act_mask_cpu, BiasActMaskArgs, mask_of)
G2S_REAL_ENTRY(bias_act_cpu, BiasActArgs, bias_act)
G2S_REAL_ENTRY(bias_act_grad_cpu, BiasActGradArgs, bias_act_grad)

}  // namespace g2s::kernels::G2S_ISA
