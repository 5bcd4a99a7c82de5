// Vectors in the instruction set that a *.isa.cpp file is compiled for. Only for such files: everything here is local to the file.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace g2s::kernels::G2S_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class T>
constexpr int lane_count = vector_bytes / static_cast<int>(sizeof(T));

template <class T, int n>
struct VecTypes {
  typedef T Aligned __attribute__((vector_size(n * sizeof(T))));
  typedef T Anywhere __attribute__((vector_size(n * sizeof(T)), aligned(sizeof(T)), may_alias));
};
// n numbers: as many as a register holds, unless said otherwise.
template <class T, int n = lane_count<T>>
using Vec = typename VecTypes<T, n>::Aligned;
template <class T>
using AnywhereVec = typename VecTypes<T, lane_count<T>>::Anywhere;
// The integer as wide as T. A comparison gives a vector of them: -1 where it holds, 0 elsewhere.
template <class T>
using Int = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;
template <class T>
using IntVec = Vec<Int<T>>;

// Most kernels compute in f32.
constexpr int lanes = lane_count<float>;
using VecF = Vec<float>;
using VecI = IntVec<float>;

template <class T>
inline Vec<T> load(const T* p) { return *reinterpret_cast<const AnywhereVec<T>*>(p); }
template <class T>
inline void store(T* p, Vec<T> v) { *reinterpret_cast<AnywhereVec<T>*>(p) = v; }
template <class T>
inline Vec<T> splat(T s) { return s - Vec<T>{}; }

// 0, 1, 2 and so on.
template <class T, int... l>
inline Vec<T> lane_numbers(std::integer_sequence<int, l...>) { return Vec<T>{l...}; }
template <class T>
inline Vec<T> lane_numbers() { return lane_numbers<T>(std::make_integer_sequence<int, lane_count<T>>{}); }

// The first n of `lanes` elements, the others zero; n in [0, lanes]. Nothing beyond them is touched.
inline VecF load_first(const float* p, int n) {
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
#elif defined(__AVX2__)
  return _mm256_maskload_ps(p, reinterpret_cast<__m256i>(lane_numbers<std::int32_t>() < n));
#else
  VecF v{};
  for (int i = 0; i < lanes; ++i)
    if (i < n) v[i] = p[i];
  return v;
#endif
}

inline void store_first(float* p, VecF v, int n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
#elif defined(__AVX2__)
  _mm256_maskstore_ps(p, reinterpret_cast<__m256i>(lane_numbers<std::int32_t>() < n), v);
#else
  for (int i = 0; i < lanes; ++i)
    if (i < n) p[i] = v[i];
#endif
}

// a * b + c, rounded once where the instruction set can.
inline VecF multiply_add(VecF a, VecF b, VecF c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

// Bit l tells whether the comparison holds in lane l.
template <class I>
inline unsigned lane_bits(I comparison) {
  [[maybe_unused]] constexpr bool wide = sizeof(comparison[0]) == 8;
#if defined(__AVX512F__)
  const __m512i v = reinterpret_cast<__m512i>(comparison);
  return wide ? static_cast<unsigned>(_mm512_movepi64_mask(v)) : static_cast<unsigned>(_mm512_movepi32_mask(v));
#elif defined(__AVX2__)
  const __m256i v = reinterpret_cast<__m256i>(comparison);
  return static_cast<unsigned>(wide ? _mm256_movemask_pd(_mm256_castsi256_pd(v)) : _mm256_movemask_ps(_mm256_castsi256_ps(v)));
#elif defined(__SSE2__)
  const __m128i v = reinterpret_cast<__m128i>(comparison);
  return static_cast<unsigned>(wide ? _mm_movemask_pd(_mm_castsi128_pd(v)) : _mm_movemask_ps(_mm_castsi128_ps(v)));
#else
  unsigned bits = 0;
  for (unsigned l = 0; l < sizeof comparison / sizeof comparison[0]; ++l) bits |= comparison[l] ? 1u << l : 0u;
  return bits;
#endif
}

inline bool same_bits(VecF a, VecF b) {
#if defined(__AVX512F__)
  return _mm512_cmpneq_epi32_mask(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)) == 0;
#elif defined(__AVX2__)
  const __m256i different = _mm256_xor_si256(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b));
  return _mm256_testz_si256(different, different) != 0;
#else
  return std::memcmp(&a, &b, sizeof a) == 0;
#endif
}

// The sum of the lanes, always in the same order.
inline float sum_lanes(VecF v) {
  float part[lanes];
  std::memcpy(part, &v, sizeof part);
  for (int width = lanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) part[i] += part[i + width];
  return part[0];
}

// Lane l of the result is lane from[l] of a and b, one after the other.
template <class V, class I>
inline V shuffle(V a, V b, I from) {
#if defined(__clang__)
  constexpr int n = sizeof a / sizeof a[0];
  V out;
  for (int l = 0; l < n; ++l) out[l] = from[l] < n ? a[from[l]] : b[from[l] - n];
  return out;
#else
  return __builtin_shuffle(a, b, from);
#endif
}

// One round of a transposition: exchanges the off-diagonal step x step blocks of each 2*step x 2*step block.
template <int step, class V, int n>
inline void transpose_round(V (&rows)[n]) {
  Vec<std::int32_t, n> upper, lower;
  for (int j = 0; j < n; ++j) {
    upper[j] = (j & step) ? j - step + n : j;
    lower[j] = (j & step) ? j + n : j + step;
  }
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i) {
    if (i & step) continue;
    const V a = rows[i], b = rows[i + step];
    rows[i] = shuffle(a, b, upper);
    rows[i + step] = shuffle(a, b, lower);
  }
  if constexpr (2 * step < n) transpose_round<2 * step>(rows);
}

// Transposes n rows of n numbers of four bytes.
template <class V, int n>
inline void transpose(V (&rows)[n]) { transpose_round<1>(rows); }

}  // namespace
}  // namespace g2s::kernels::G2S_ISA
