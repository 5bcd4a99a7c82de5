// A tensor's place in the graph without its data, for derivatives that get the data in another way.
#pragma once

#include "engine/tensor.h"

namespace g2s {

// Of a computed tensor its place, shape and dtype; leaves as they are; undefined where no gradient flows.
Tensor graph_vertex(const Tensor& t);
// `values`, whose gradient goes where that of the tensor went that the place was taken of.
Tensor at_vertex(const Tensor& values, const Tensor& vertex);

}  // namespace g2s
