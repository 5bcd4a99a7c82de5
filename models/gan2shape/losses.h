// The losses of the method, docs/method.md section 4.
#pragma once

#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// sum(|a-b| m) / (C sum(m)), a scalar. a, b [B,H,W,C], mask [B,H,W,1] without gradient. Where the images are a part of a batch, sum(m) is
// that of `whole`, the masks of all of it: then the parts' losses add up to the batch's.
Tensor masked_l1(const Tensor& a, const Tensor& b, const Tensor& mask, const Tensor& whole);

// The same of (a-b)^2, of one batch.
Tensor masked_mse(const Tensor& a, const Tensor& b, const Tensor& mask);

// The sum of masked_l1 over layers of features, the mask averaged over each layer's pixels. mask [B,S,S,1].
Tensor feature_l1(const std::vector<Tensor>& a, const std::vector<Tensor>& b, const Tensor& mask, const Tensor& whole);

}  // namespace g2s
