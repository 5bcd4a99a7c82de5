// Vectors of float in the instruction set that a *.isa.cpp file is compiled for. Only for such files: everything here is local to the file.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace g2s::kernels::G2S_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int lanes = 16;
#elif defined(__AVX2__)
constexpr int lanes = 8;
#else
constexpr int lanes = 4;
#endif

typedef float Vec __attribute__((vector_size(lanes * 4)));
typedef float UnalignedVec __attribute__((vector_size(lanes * 4), aligned(4), may_alias));
typedef std::int32_t IntVec __attribute__((vector_size(lanes * 4)));

[[maybe_unused]] inline Vec load(const float* p) { return *reinterpret_cast<const UnalignedVec*>(p); }
[[maybe_unused]] inline void store(float* p, Vec v) { *reinterpret_cast<UnalignedVec*>(p) = v; }
[[maybe_unused]] inline Vec splat(float s) { return s - Vec{}; }

// The first n of `lanes` elements, the others zero; n in [0, lanes]. Nothing beyond them is touched.
[[maybe_unused]] inline Vec load_first(const float* p, int n) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec>(_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p));
#elif defined(__AVX2__)
  IntVec index = {0, 1, 2, 3, 4, 5, 6, 7};
  return reinterpret_cast<Vec>(_mm256_maskload_ps(p, reinterpret_cast<__m256i>(index < n)));
#else
  Vec v{};
  for (int i = 0; i < lanes; ++i)
    if (i < n) v[i] = p[i];
  return v;
#endif
}

[[maybe_unused]] inline void store_first(float* p, Vec v, int n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), reinterpret_cast<__m512>(v));
#elif defined(__AVX2__)
  IntVec index = {0, 1, 2, 3, 4, 5, 6, 7};
  _mm256_maskstore_ps(p, reinterpret_cast<__m256i>(index < n), reinterpret_cast<__m256>(v));
#else
  for (int i = 0; i < lanes; ++i)
    if (i < n) p[i] = v[i];
#endif
}

// a * b + c, rounded once where the instruction set can.
[[maybe_unused]] inline Vec multiply_add(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec>(_mm512_fmadd_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#elif defined(__AVX2__)
  return reinterpret_cast<Vec>(_mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#else
  return a * b + c;
#endif
}

[[maybe_unused]] inline bool same_bits(Vec a, Vec b) {
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
[[maybe_unused]] inline float sum_lanes(Vec v) {
  float part[lanes];
  std::memcpy(part, &v, sizeof part);
  for (int width = lanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) part[i] += part[i + width];
  return part[0];
}

// One round of a transposition: exchanges the off-diagonal step x step blocks of each 2*step x 2*step block.
template <int step>
inline void transpose_round(Vec (&rows)[lanes]) {
  IntVec upper, lower;
  for (int j = 0; j < lanes; ++j) {
    upper[j] = (j & step) ? j - step + lanes : j;
    lower[j] = (j & step) ? j + lanes : j + step;
  }
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i) {
    if (i & step) continue;
    Vec a = rows[i], b = rows[i + step];
    rows[i] = __builtin_shuffle(a, b, upper);
    rows[i + step] = __builtin_shuffle(a, b, lower);
  }
  if constexpr (2 * step < lanes) transpose_round<2 * step>(rows);
}

// Transposes lanes x lanes floats.
[[maybe_unused]] inline void transpose(Vec (&rows)[lanes]) { transpose_round<1>(rows); }

}  // namespace
}  // namespace g2s::kernels::G2S_ISA
