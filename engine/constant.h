// Small tensors of numbers that are always the same.
#pragma once

#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// A tensor of these values on the default device. The same values give the same tensor, made once in a context: so it costs nothing within an
// iteration, and a graph finds it again. For what depends on the configuration, not on data.
Tensor constant(const std::vector<double>& values, const Shape& shape, DType dtype);

}  // namespace g2s
