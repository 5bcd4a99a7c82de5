// Matrix products.
#pragma once

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// C[.., m, n] = sum_k A[.., m, k] B[.., k, n]; with transpose_a, A is stored [.., k, m]; with transpose_b, B is stored [.., n, k].
// a and b: rank 2 or 3, the same number of batches, or one of them rank 2 or a batch of 1, which all batches share.
// dA = dC B^T, dB = A^T dC, stored as A and B are, summed over the batches that share one; to any order, for they are products too.
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);

}  // namespace g2s
