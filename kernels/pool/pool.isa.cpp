#include "engine/parallel.h"
#include "kernels/pool/pool_args.h"
#include "kernels/sizes.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

using std::int64_t;

constexpr int64_t piece_elements = 16384;

template <bool WithArgmax, class T>
inline void take(const T* x, T* y, std::uint8_t* argmax, std::uint8_t place, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T v = x[i], best = y[i];
    const bool better = v > best || v != v;  // NaN wins, as in PyTorch
    y[i] = better ? v : best;
    if constexpr (WithArgmax) argmax[i] = better ? place : argmax[i];
  }
}

template <bool WithArgmax, class T>
void max_pool(const MaxPoolArgs<T>& a) {
  const int64_t row = a.width * a.channels, c = a.channels, lines = a.batch * a.out_height;
  parallel_blocks(lines, max(1, piece_elements / (a.out_width * c)), [&](int64_t first, int64_t last) {
    for (int64_t line = first; line < last; ++line) {
      const int64_t b = line / a.out_height, top = line % a.out_height * a.stride, bottom = min(top + a.k, a.height);
      for (int64_t o = 0; o < a.out_width; ++o) {
        const int64_t left = o * a.stride, right = min(left + a.k, a.width), at = (line * a.out_width + o) * c;
        const T* x = a.x + (b * a.height + top) * row + left * c;
        T* y = a.y + at;
        std::uint8_t* argmax = WithArgmax ? a.argmax + at : nullptr;
        for (int64_t i = 0; i < c; ++i) y[i] = x[i];
        if constexpr (WithArgmax)
          for (int64_t i = 0; i < c; ++i) argmax[i] = 0;
        for (int64_t h = top; h < bottom; ++h)
          for (int64_t w = left; w < right; ++w)
            if (h > top || w > left)
              take<WithArgmax>(x + (h - top) * row + (w - left) * c, y, argmax, static_cast<std::uint8_t>((h - top) * a.k + (w - left)), c);
      }
    }
  });
}

template <class T>
inline void give(const T* dy, const std::uint8_t* argmax, std::uint8_t place, T* dx, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) dx[i] += argmax[i] == place ? dy[i] : T(0);
}

// Gathered per input pixel: from every window that covers it.
template <class T>
void max_pool_grad(const MaxPoolGradArgs<T>& a) {
  const int64_t c = a.channels, lines = a.batch * a.height, k = a.k, stride = a.stride;
  parallel_blocks(lines, max(1, piece_elements / (a.width * c)), [&](int64_t first, int64_t last) {
    for (int64_t line = first; line < last; ++line) {
      const int64_t b = line / a.height, h = line % a.height;
      const int64_t top = h < k ? 0 : (h - k) / stride + 1, bottom = min(h / stride + 1, a.out_height);
      T* dx = a.dx + line * a.width * c;
      for (int64_t i = 0; i < a.width * c; ++i) dx[i] = 0;
      for (int64_t oh = top; oh < bottom; ++oh)
        for (int64_t w = 0; w < a.width; ++w) {
          const int64_t left = w < k ? 0 : (w - k) / stride + 1, right = min(w / stride + 1, a.out_width);
          for (int64_t ow = left; ow < right; ++ow) {
            const int64_t at = ((b * a.out_height + oh) * a.out_width + ow) * c;
            give(a.dy + at, a.argmax + at, static_cast<std::uint8_t>((h - oh * stride) * k + (w - ow * stride)), dx + w * c, c);
          }
        }
    }
  });
}

}  // namespace

void max_pool_cpu(const MaxPoolArgs<float>& a) { a.argmax ? max_pool<true>(a) : max_pool<false>(a); }
void max_pool_cpu(const MaxPoolArgs<double>& a) { a.argmax ? max_pool<true>(a) : max_pool<false>(a); }
G2S_REAL_ENTRY(max_pool_grad_cpu, MaxPoolGradArgs, max_pool_grad)

}  // namespace g2s::kernels::G2S_ISA
