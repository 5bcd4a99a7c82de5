#include <cmath>

#include "engine/parallel.h"
#include "kernels/group_norm/group_norm_args.h"
#include "kernels/sizes.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

using std::int64_t;

constexpr int64_t block = 256;  // channels at a time: their values stay in the L1 cache

// Per-channel values of the blocks of channels of one image: y = leaky(scale * x + offset), xhat = rstd * x + centre.
template <class T>
struct Affine {
  T scale[block], offset[block], rstd[block], centre[block];
};

template <class T, class Args>
inline void load_affine(const Args& a, int64_t b, int64_t c0, int64_t n, Affine<T>& f) {
  const int64_t per_group = a.channels / a.groups;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t c = c0 + i;
    const double* stats = a.stats + 2 * (b * a.groups + c / per_group);
    const double scale = stats[1] * static_cast<double>(a.weight[c]);
    f.scale[i] = static_cast<T>(scale);
    f.offset[i] = static_cast<T>(static_cast<double>(a.bias[c]) - stats[0] * scale);
    f.rstd[i] = static_cast<T>(stats[1]);
    f.centre[i] = static_cast<T>(-stats[0] * stats[1]);
  }
}

// Sums of x - shift and of its square over pixels, where shift is the first pixel: safe when the mean is large against the deviation.
template <class T>
inline void chunk_moments(const T* x, int64_t pixels, int64_t channels, T* out) {
  for (int64_t c0 = 0; c0 < channels; c0 += block) {
    const int64_t n = min(block, channels - c0);
    T sum[block] = {}, squares[block] = {};
    const T* shift = x + c0;
    int64_t p = 1;
    for (; p + 4 <= pixels; p += 4) {
      const T* at = x + p * channels + c0;
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) {
        const T d0 = at[i] - shift[i], d1 = at[channels + i] - shift[i];
        const T d2 = at[2 * channels + i] - shift[i], d3 = at[3 * channels + i] - shift[i];
        sum[i] += (d0 + d1) + (d2 + d3);
        squares[i] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
      }
    }
    for (; p < pixels; ++p) {
      const T* at = x + p * channels + c0;
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) {
        const T d = at[i] - shift[i];
        sum[i] += d;
        squares[i] += d * d;
      }
    }
    for (int64_t i = 0; i < n; ++i) {
      out[c0 + i] = shift[i];
      out[channels + c0 + i] = sum[i];
      out[2 * channels + c0 + i] = squares[i];
    }
  }
}

// The mean of one group from all chunks and channels, then the squares about it: with d = mean - shift,
// sum (x - mean)^2 = sum (x - shift)^2 - 2 d sum (x - shift) + n d^2.
template <class T>
inline void merge_moments(const GroupNormArgs<T>& a, int64_t b, int64_t group, int64_t chunk, int64_t chunks) {
  const int64_t per_group = a.channels / a.groups;
  const double count = static_cast<double>(a.pixels) * static_cast<double>(per_group);
  double total = 0, squares = 0;
  for (int64_t k = 0; k < chunks; ++k) {
    const double n = static_cast<double>(min(chunk, a.pixels - k * chunk));
    const T* from = a.partial + (b * chunks + k) * 3 * a.channels + group * per_group;
    for (int64_t i = 0; i < per_group; ++i) total += n * static_cast<double>(from[i]) + static_cast<double>(from[a.channels + i]);
  }
  const double mean = total / count;
  for (int64_t k = 0; k < chunks; ++k) {
    const double n = static_cast<double>(min(chunk, a.pixels - k * chunk));
    const T* from = a.partial + (b * chunks + k) * 3 * a.channels + group * per_group;
    for (int64_t i = 0; i < per_group; ++i) {
      const double d = mean - static_cast<double>(from[i]);
      squares += static_cast<double>(from[2 * a.channels + i]) - d * (2 * static_cast<double>(from[a.channels + i]) - n * d);
    }
  }
  double* stats = a.stats + 2 * (b * a.groups + group);
  stats[0] = mean;
  stats[1] = 1 / std::sqrt((squares > 0 ? squares : 0) / count + a.eps);
}

template <class T>
inline void normalize(const T* x, const Affine<T>& f, T slope, T* y, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T v = f.scale[i] * x[i] + f.offset[i];
    y[i] = v > 0 ? v : v * slope;
  }
}

// One chunk of the output.
template <class T>
inline void normalize_chunk(const GroupNormArgs<T>& a, int64_t b, int64_t begin, int64_t end) {
  for (int64_t c0 = 0; c0 < a.channels; c0 += block) {
    const int64_t n = min(block, a.channels - c0);
    Affine<T> f;
    load_affine(a, b, c0, n, f);
    for (int64_t p = begin; p < end; ++p) {
      const int64_t at = (b * a.pixels + p) * a.channels + c0;
      normalize(a.x + at, f, a.slope, a.y + at, n);
    }
  }
}

// Runs first(chunk) for every chunk, then middle(image), then last(chunk). Many small images go one by one, so that the second visit
// finds them in the cache; the sums are the same either way.
template <class First, class Middle, class Last>
inline void two_passes(int64_t batch, int64_t chunks, int64_t image_bytes, First first, Middle middle, Last last) {
  if (batch >= 8 && image_bytes <= (int64_t{1} << 20)) {
    parallel_for(batch, [&](int64_t b) {
      for (int64_t k = 0; k < chunks; ++k) first(b, k);
      middle(b);
      for (int64_t k = 0; k < chunks; ++k) last(b, k);
    });
    return;
  }
  parallel_for(batch * chunks, [&](int64_t piece) { first(piece / chunks, piece % chunks); });
  for (int64_t b = 0; b < batch; ++b) middle(b);
  parallel_for(batch * chunks, [&](int64_t piece) { last(piece / chunks, piece % chunks); });
}

template <class T>
void group_norm(const GroupNormArgs<T>& a) {
  const int64_t chunk = group_norm_chunk(a.channels), chunks = group_norm_chunks(a.pixels, a.channels);
  two_passes(
      a.batch, chunks, a.pixels * a.channels * static_cast<int64_t>(sizeof(T)),
      [&](int64_t b, int64_t k) {
        chunk_moments(a.x + (b * a.pixels + k * chunk) * a.channels, min(chunk, a.pixels - k * chunk), a.channels,
                      a.partial + (b * chunks + k) * 3 * a.channels);
      },
      [&](int64_t b) {
        for (int64_t group = 0; group < a.groups; ++group) merge_moments(a, b, group, chunk, chunks);
      },
      [&](int64_t b, int64_t k) { normalize_chunk(a, b, k * chunk, min((k + 1) * chunk, a.pixels)); });
}

// Sums of dpre and dpre * xhat over the pixels of a chunk.
template <int Rows, class T>
inline void grad_sums(const T* dy, const T* x, const Affine<T>& f, T slope, int64_t stride, T* sum, T* product, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    T s = 0, p = 0;
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      const T v = x[r * stride + i], g = dy[r * stride + i];
      const T d = f.scale[i] * v + f.offset[i] > 0 ? g : g * slope;
      s += d;
      p += d * (f.rstd[i] * v + f.centre[i]);
    }
    sum[i] += s;
    product[i] += p;
  }
}

template <class T>
inline void chunk_grad_sums(const GroupNormGradArgs<T>& a, int64_t b, int64_t begin, int64_t end, T* out) {
  for (int64_t c0 = 0; c0 < a.channels; c0 += block) {
    const int64_t n = min(block, a.channels - c0);
    Affine<T> f;
    load_affine(a, b, c0, n, f);
    T sum[block] = {}, product[block] = {};
    int64_t p = begin, at = (b * a.pixels + begin) * a.channels + c0;
    for (; p + 4 <= end; p += 4, at += 4 * a.channels) grad_sums<4>(a.dy + at, a.x + at, f, a.slope, a.channels, sum, product, n);
    for (; p < end; ++p, at += a.channels) grad_sums<1>(a.dy + at, a.x + at, f, a.slope, a.channels, sum, product, n);
    for (int64_t i = 0; i < n; ++i) out[c0 + i] = sum[i], out[a.channels + c0 + i] = product[i];
  }
}

// The sums of one image from those of its chunks.
template <class T>
inline void add_chunks(const GroupNormGradArgs<T>& a, int64_t b, int64_t chunks) {
  double* sums = a.sums + b * 2 * a.channels;
  for (int64_t i = 0; i < 2 * a.channels; ++i) sums[i] = 0;
  for (int64_t k = 0; k < chunks; ++k) {
    const T* from = a.partial + (b * chunks + k) * 2 * a.channels;
    for (int64_t i = 0; i < 2 * a.channels; ++i) sums[i] += static_cast<double>(from[i]);
  }
}

template <class T>
inline void add_images(const GroupNormGradArgs<T>& a) {
  for (int64_t c = 0; c < a.channels; ++c) {
    double bias = 0, weight = 0;
    for (int64_t b = 0; b < a.batch; ++b) {
      bias += a.sums[b * 2 * a.channels + c];
      weight += a.sums[(b * 2 + 1) * a.channels + c];
    }
    if (a.dbias) a.dbias[c] = static_cast<T>(bias);
    if (a.dweight) a.dweight[c] = static_cast<T>(weight);
  }
}

// dx = keep * dpre + slant * x + level
template <class T>
struct Correction {
  T keep[block], slant[block], level[block];
};

template <class T>
inline void load_correction(const GroupNormGradArgs<T>& a, int64_t b, int64_t c0, int64_t n, Correction<T>& g) {
  const int64_t per_group = a.channels / a.groups;
  const double count = static_cast<double>(a.pixels) * static_cast<double>(per_group);
  const double* sums = a.sums + b * 2 * a.channels;
  int64_t known = -1;
  double mean_grad = 0, mean_product = 0;
  for (int64_t i = 0; i < n; ++i) {
    const int64_t c = c0 + i, group = c / per_group;
    if (group != known) {
      known = group, mean_grad = mean_product = 0;
      for (int64_t k = group * per_group; k < (group + 1) * per_group; ++k) {
        mean_grad += static_cast<double>(a.weight[k]) * sums[k];
        mean_product += static_cast<double>(a.weight[k]) * sums[a.channels + k];
      }
      mean_grad /= count, mean_product /= count;
    }
    const double* stats = a.stats + 2 * (b * a.groups + group);
    const double slant = -stats[1] * stats[1] * mean_product;
    g.keep[i] = static_cast<T>(stats[1] * static_cast<double>(a.weight[c]));
    g.slant[i] = static_cast<T>(slant);
    g.level[i] = static_cast<T>(-stats[1] * mean_grad - slant * stats[0]);
  }
}

template <class T>
inline void correct(const T* dy, const T* x, const Affine<T>& f, const Correction<T>& g, T slope, T* dx, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T d = f.scale[i] * x[i] + f.offset[i] > 0 ? dy[i] : dy[i] * slope;
    dx[i] = g.keep[i] * d + (g.slant[i] * x[i] + g.level[i]);
  }
}

template <class T>
inline void correct_chunk(const GroupNormGradArgs<T>& a, int64_t b, int64_t begin, int64_t end) {
  for (int64_t c0 = 0; c0 < a.channels; c0 += block) {
    const int64_t n = min(block, a.channels - c0);
    Affine<T> f;
    Correction<T> g;
    load_affine(a, b, c0, n, f);
    load_correction(a, b, c0, n, g);
    for (int64_t p = begin; p < end; ++p) {
      const int64_t at = (b * a.pixels + p) * a.channels + c0;
      correct(a.dy + at, a.x + at, f, g, a.slope, a.dx + at, n);
    }
  }
}

template <class T>
void group_norm_grad(const GroupNormGradArgs<T>& a) {
  const int64_t chunk = group_norm_chunk(a.channels), chunks = group_norm_chunks(a.pixels, a.channels);
  two_passes(
      a.batch, chunks, 2 * a.pixels * a.channels * static_cast<int64_t>(sizeof(T)),
      [&](int64_t b, int64_t k) {
        chunk_grad_sums(a, b, k * chunk, min((k + 1) * chunk, a.pixels), a.partial + (b * chunks + k) * 2 * a.channels);
      },
      [&](int64_t b) { add_chunks(a, b, chunks); },
      [&](int64_t b, int64_t k) {
        if (a.dx) correct_chunk(a, b, k * chunk, min((k + 1) * chunk, a.pixels));
      });
  add_images(a);
}

}  // namespace

G2S_REAL_ENTRY(group_norm_cpu, GroupNormArgs, group_norm)
G2S_REAL_ENTRY(group_norm_grad_cpu, GroupNormGradArgs, group_norm_grad)

}  // namespace g2s::kernels::G2S_ISA
