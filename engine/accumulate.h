// Addition of gradients that meet at one vertex of the graph.
#pragma once

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// total + more, same shape and dtype; differentiable if `differentiable`. Writes into `total` when nobody else can see it.
Tensor accumulate(Tensor total, const Tensor& more, bool differentiable);

}  // namespace g2s
