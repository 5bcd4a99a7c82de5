// Elementary functions of vectors of f32, within two or three units in the last place, for kernels that are compiled once
// per instruction set. A result depends on its argument alone, not on its place in a vector or on libm.
#pragma once

#include <cmath>

#include "kernels/simd.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

using VecU = Vec<std::uint32_t>;

inline VecF as_float(VecI v) { return reinterpret_cast<VecF>(v); }
inline VecI as_int(VecF v) { return reinterpret_cast<VecI>(v); }
inline VecF abs(VecF x) { return as_float(as_int(x) & 0x7fffffff); }
// The nearest integer (ties to even) of |x| < 2^22, as a float.
inline VecF round_small(VecF x) { return (x + 0x1.8p23f) - 0x1.8p23f; }

inline VecF exp(VecF x) {
  x = x > 89.0f ? splat(89.0f) : x;  // beyond these the result is infinity and 0 anyway
  x = x < -105.0f ? splat(-105.0f) : x;
  VecF n = round_small(x * 1.44269504f);
  VecF r = (x - n * 0.693145751953125f) - n * 1.42860677e-06f;  // the first product is exact
  VecF q = 0.00138131354f * r + 0.00836941972f;
  q = q * r + 0.041668456f;
  q = q * r + 0.166665152f;
  q = q * r + 0.49999994f;
  VecF p = (q * r * r + r) + 1.0f;
  // 2^n in two factors, as n runs from -151 to 128.
  VecI k = __builtin_convertvector(n, VecI), half = k >> 1;
  return p * as_float((half + 127) << 23) * as_float((k - half + 127) << 23);
}

inline VecF log(VecF x) {
  VecI subnormal = x < 0x1p-126f;
  VecF v = subnormal ? x * 0x1p23f : x;
  // v = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)).
  VecI bits = reinterpret_cast<VecI>(reinterpret_cast<VecU>(v) + (0x3f800000u - 0x3f3504f3u));  // unsigned: the bits of a NaN overflow
  VecI k = (bits >> 23) - 127;
  VecF f = as_float((bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
  VecF e = __builtin_convertvector(subnormal ? k - 23 : k, VecF);
  VecF q = 0.067464903f * f - 0.116756156f;
  q = q * f + 0.11888212f;
  q = q * f - 0.124055982f;
  q = q * f + 0.142195463f;
  q = q * f - 0.166679949f;
  q = q * f + 0.200021192f;
  q = q * f - 0.250000089f;
  q = q * f + 0.333333135f;
  VecF square = f * f;
  VecF tail = q * f * square + (e * 1.42860677e-06f - 0.5f * square);
  VecF y = (f + tail) + e * 0.693145751953125f;
  y = x == __builtin_inff() ? x : y;
  y = x == 0.0f ? splat(-__builtin_inff()) : y;
  return (x < 0.0f) | (x != x) ? splat(__builtin_nanf("")) : y;
}

inline VecF sigmoid(VecF x) {
  VecF t = exp(-abs(x));
  return (x >= 0.0f ? splat(1.0f) : t) / (1.0f + t);
}

inline VecF tanh(VecF x) {
  VecF z = x * x;
  VecF q = 0.0021429495f * z - 0.0081773838f;
  q = q * z + 0.021700697f;
  q = q * z - 0.0539467633f;
  q = q * z + 0.133332059f;
  q = q * z - 0.333333313f;
  VecF small = x + x * (z * q);
  VecF magnitude = abs(x);
  VecF large = 1.0f - 2.0f / (exp(magnitude + magnitude) + 1.0f);
  VecF y = magnitude < 0.625f ? small : large;
  return as_float(as_int(y) | (as_int(x) & static_cast<std::int32_t>(0x80000000)));
}

// Beyond this sin and cos would lose digits to the reduction by pi / 2 below.
constexpr float trig_limit = 8192.0f;

// sin(x + shift * pi / 2) for |x| <= trig_limit.
inline VecF sin_shifted(VecF x, int shift) {
  VecF n = round_small(x * 0.636619747f);
  // pi / 2 in four parts, the first three so short that their products with n are exact.
  VecF r = x - n * 0x1.92p+0f;
  r = r - n * 0x1.fbp-12f;
  VecF third = n * 0x1.51p-22f, rounded = r - third;
  r = rounded + (((r - rounded) - third) - n * 0x1.0b4612p-34f);
  VecI quadrant = __builtin_convertvector(n, VecI) + shift;
  VecF z = r * r;
  VecF s = ((2.71804606e-06f * z - 0.000198393042f) * z + 0.00833332911f) * z - 0.166666672f;
  s = r + r * (z * s);
  VecF c = ((2.44324056e-05f * z - 0.00138873095f) * z + 0.0416666456f) * z * z + (1.0f - 0.5f * z);
  VecF y = (quadrant & 1) != 0 ? c : s;
  return as_float(as_int(y) ^ ((quadrant & 2) << 30));
}

// y[i] = f(x[i]); the rest of a vector at the end goes through the same code as everything else.
template <class F>
inline void map(const float* x, float* y, std::int64_t n, F f) {
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(y + i, f(load(x + i)));
  if (i == n) return;
  const int rest = static_cast<int>(n - i);
  store_first(y + i, f(load_first(x + i, rest)), rest);
}

inline void map_trig(const float* x, float* y, std::int64_t n, int shift) {
  map(x, y, n, [=](VecF v) { return sin_shifted(v, shift); });
  int far = 0;
#pragma omp simd reduction(| : far)
  for (std::int64_t i = 0; i < n; ++i) far |= !(__builtin_fabsf(x[i]) <= trig_limit);
  if (!far) return;
  for (std::int64_t i = 0; i < n; ++i)
    if (!(__builtin_fabsf(x[i]) <= trig_limit)) y[i] = static_cast<float>(shift ? ::cos(double{x[i]}) : ::sin(double{x[i]}));
}
inline void map_sin(const float* x, float* y, std::int64_t n) { map_trig(x, y, n, 0); }
inline void map_cos(const float* x, float* y, std::int64_t n) { map_trig(x, y, n, 1); }

}  // namespace
}  // namespace g2s::kernels::G2S_ISA
