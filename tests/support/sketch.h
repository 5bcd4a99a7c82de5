// How golden files keep large tensors (tests/oracle/make_goldens.py).
#pragma once

#include <cstdint>

#include "engine/hashed_tensor.h"
#include "engine/tensor.h"

namespace g2s::test {

// The tensor itself as f64 if it is small, else its elements with hashed signs summed into `size` hashed buckets.
inline Tensor sketch(const Tensor& t, std::int64_t size) {
  Tensor x = t.detach().to(DType::f64);
  if (x.numel() <= 2 * size) return x.reshape({x.numel()});
  Tensor out = Tensor::zeros({size}, DType::f64, Device{});
  const std::uint64_t hash = fnv1a64("sketch");
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    double u = hashed_uniform(hash, static_cast<std::uint64_t>(i));
    auto bucket = static_cast<std::int64_t>((u + 1) * 0x1p52) % size;
    out.mutable_data<double>()[bucket] += (u < 0 ? -1 : 1) * x.data<double>()[i];
  }
  return out;
}

}  // namespace g2s::test
