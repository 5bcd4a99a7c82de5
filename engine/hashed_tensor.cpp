#include "engine/hashed_tensor.h"

namespace g2s {

std::uint64_t fnv1a64(std::string_view text) {
  std::uint64_t h = 0xCBF29CE484222325u;
  for (unsigned char byte : text) h = (h ^ byte) * 0x100000001B3u;
  return h;
}

Tensor hashed_tensor(std::string_view name, const Shape& shape, DType dtype) {
  Tensor t = Tensor::empty(shape, DType::f64, Device{});
  const std::uint64_t hash = fnv1a64(name);
  double* y = t.mutable_data<double>();
  for (std::int64_t i = 0, n = t.numel(); i < n; ++i) y[i] = hashed_uniform(hash, static_cast<std::uint64_t>(i));
  return t.to(dtype);
}

}  // namespace g2s
