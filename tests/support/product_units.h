// What a unit of a CUDA device makes of a product's factors.
#pragma once

#include <cmath>

#include "engine/tensor.h"
#include "kernels/matmul/product_unit.h"

namespace g2s::test {

// The factors as `unit` rounds them, in f64: bf16 with ties to even, tf32 away from zero. tf32x3 counts as exact.
inline Tensor rounded_for(kernels::ProductUnit unit, const Tensor& t) {
  using kernels::ProductUnit;
  if (unit == ProductUnit::fma || unit == ProductUnit::tf32x3) return t.to(DType::f64);
  const bool bf16 = unit == ProductUnit::bf16;
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
