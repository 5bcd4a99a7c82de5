// A pixel's channels are visited several times while they are in the L1 cache; memory is passed once.
#include <cmath>

#include "engine/parallel.h"
#include "kernels/lpips_head/lpips_head_args.h"
#include "kernels/sizes.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

using std::int64_t;

template <class T>
struct Norms {
  T a, b;          // of the pixel's features
  T ia, ib;        // 1 / (norm + 1e-10)
};

template <class T>
inline Norms<T> norms(const T* a, const T* b, int64_t n) {
  T aa = 0, bb = 0;
#pragma omp simd reduction(+ : aa, bb)
  for (int64_t i = 0; i < n; ++i) {
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  const T eps = static_cast<T>(1e-10), na = std::sqrt(aa), nb = std::sqrt(bb);
  return {na, nb, 1 / (na + eps), 1 / (nb + eps)};
}

template <class T>
void lpips_head(const LpipsHeadArgs<T>& args) {
  const int64_t n = args.channels, chunk = lpips_chunk(n), chunks = lpips_chunks(args.pixels, n);
  parallel_for(args.batch * chunks, [&](int64_t piece) {
    const int64_t begin = piece % chunks * chunk, end = min(begin + chunk, args.pixels);
    double total = 0;
    for (int64_t p = begin; p < end; ++p) {
      const T *a = args.a + (piece / chunks * args.pixels + p) * n, *b = args.b + (piece / chunks * args.pixels + p) * n, *head = args.head;
      const Norms<T> k = norms(a, b, n);
      T sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < n; ++i) {
        const T d = a[i] * k.ia - b[i] * k.ib;
        sum += head[i] * (d * d);
      }
      total += static_cast<double>(sum);
    }
    args.partial[piece] = total;
  });
  for (int64_t b = 0; b < args.batch; ++b) {
    double total = 0;
    for (int64_t k = 0; k < chunks; ++k) total += args.partial[b * chunks + k];
    args.d[b] = static_cast<T>(total / static_cast<double>(args.pixels));
  }
}

// g = gradient of the normalised features f / (|f| + eps): df = g i - f (g . f) i^2 / |f|.
// Where all features are 0 the second term is 0 / 0 and the first 1e10 times the gradient: that pixel gets 0.
template <class T>
struct Back {
  T straight, along;  // df = straight * g + along * f
};

template <class T>
inline Back<T> back(T norm, T inverse, T product) {
  if (!(norm > 0)) return {0, 0};
  return {inverse, -product * inverse * inverse / norm};
}

template <bool WantA, bool WantB, class T>
void gradient(const LpipsHeadGradArgs<T>& args) {
  const int64_t n = args.channels, chunk = lpips_chunk(n), chunks = lpips_chunks(args.pixels, n);
  parallel_for(args.batch * chunks, [&](int64_t piece) {
    const int64_t begin = piece % chunks * chunk, end = min(begin + chunk, args.pixels);
    const T factor = 2 * args.dd[piece / chunks] / static_cast<T>(args.pixels);
    for (int64_t p = begin; p < end; ++p) {
      const int64_t at = (piece / chunks * args.pixels + p) * n;
      const T *a = args.a + at, *b = args.b + at, *head = args.head;
      const Norms<T> k = norms(a, b, n);
      T ga = 0, gb = 0;
#pragma omp simd reduction(+ : ga, gb)
      for (int64_t i = 0; i < n; ++i) {
        const T g = factor * head[i] * (a[i] * k.ia - b[i] * k.ib);
        if constexpr (WantA) ga += g * a[i];
        if constexpr (WantB) gb += g * b[i];
      }
      const Back<T> back_a = back(k.a, k.ia, ga), back_b = back(k.b, k.ib, gb);
      T *da = WantA ? args.da + at : nullptr, *db = WantB ? args.db + at : nullptr;
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) {
        const T g = factor * head[i] * (a[i] * k.ia - b[i] * k.ib);
        if constexpr (WantA) da[i] = back_a.straight * g + back_a.along * a[i];
        if constexpr (WantB) db[i] = -(back_b.straight * g + back_b.along * b[i]);
      }
    }
  });
}

template <class T>
void lpips_head_grad(const LpipsHeadGradArgs<T>& args) {
  if (args.da && args.db) gradient<true, true>(args);
  else if (args.da) gradient<true, false>(args);
  else if (args.db) gradient<false, true>(args);
}

}  // namespace

G2S_REAL_ENTRY(lpips_head_cpu, LpipsHeadArgs, lpips_head)
G2S_REAL_ENTRY(lpips_head_grad_cpu, LpipsHeadGradArgs, lpips_head_grad)

}  // namespace g2s::kernels::G2S_ISA
