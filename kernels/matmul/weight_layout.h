// Which layout of the right side of a product is fastest for a shape, and its making. Shared by matmul and the convolutions.
#pragma once

#include <string>
#include <vector>

#include "engine/tensor.h"
#include "kernels/matmul/gemm_args.h"

namespace g2s::kernels {

// The right side w[t, k, n] of a product inside a tensor: at tap_offsets[t] + k * k_stride + n * n_stride. One of the strides is 1.
struct WeightView {
  const float* data;
  const Tensor& owner;  // where `data` lies: keeps what is made from it if it is constant
  std::int64_t k, n, k_stride, n_stride;
  std::vector<std::int64_t> tap_offsets;
};

struct PreparedWeight {
  Tensor made;  // undefined where the weight is used as it is
  const float* data;
  WeightLayout layout;
  std::vector<std::int64_t> tap_offsets;
  std::int64_t stride;
};

// For a product with `pixels` rows. `cache_key` names everything but shape and content of the owner that the view depends on.
PreparedWeight prepare_weight(const WeightView& view, std::int64_t pixels, const std::string& cache_key);

// The weight as panels (PackArgs), not cached.
Tensor pack_weight(const WeightView& view);

// Zeros for IndirectGemmArgs::zeros; `holder` keeps them.
const float* zeros_for(std::int64_t k, Tensor& holder);

}  // namespace g2s::kernels
