// What a math mode makes of a product's factors.
#pragma once

#include <cmath>

#include "engine/tensor.h"
#include "kernels/matmul/math_mode.h"

namespace g2s::test {

// The factors as `mode` rounds them, in f64: bf16 with ties to even, tf32 away from zero.
inline Tensor rounded_for(kernels::MathMode mode, const Tensor& t) {
  using kernels::MathMode;
  if (mode == MathMode::fma) return t.to(DType::f64);
  const bool bf16 = mode == MathMode::bf16;
  const int bits = bf16 ? 8 : 11;
  Tensor r = Tensor::empty(t.shape(), DType::f64);
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    int exponent;
    const double q = std::ldexp(std::frexp(static_cast<double>(t.data<float>()[i]), &exponent), bits);
    r.mutable_data<double>()[i] = std::ldexp(bf16 ? std::nearbyint(q) : std::round(q), exponent - bits);
  }
  return r;
}

}  // namespace g2s::test
