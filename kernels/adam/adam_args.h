#pragma once

#include <cstdint>

#include "kernels/isa.h"

namespace g2s::kernels {

// One parameter of the update.
struct AdamTensor {
  bool f64;  // double, else float
  std::int64_t n;
  void* parameter;
  const void* gradient;
  void* first;   // moving average of the gradient
  void* second;  // and of its square
};

// What changes with the time t of a parameter's updates.
struct AdamSize {
  double step;        // lr / (1 - beta1^t)
  double root_bias2;  // sqrt(1 - beta2^t)
};

// A range of one parameter, for the CPU.
struct AdamPiece {
  std::int64_t tensor, begin, end;
};

struct AdamArgs {
  const AdamTensor* tensors;  // in the host's memory
  const AdamSize* sizes;      // one for each of them, where the parameters are: a graph finds other ones at each launch
  std::int64_t tensor_count;
  const AdamPiece* pieces;
  std::int64_t piece_count;
  double beta1, beta2, eps, weight_decay;
};

G2S_KERNEL(adam, AdamArgs)

}  // namespace g2s::kernels
