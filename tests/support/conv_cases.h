// The operators of the convolutions' table of cases.
#pragma once

#include <vector>

#include "kernels/conv/conv.h"
#include "tests/support/cases.h"

namespace g2s::test {

inline ConvOptions conv_options(const Case& c) {
  return {static_cast<int>(c.integer("stride", 1)), static_cast<int>(c.integer("pad", 0)), static_cast<int>(c.integer("dilation", 1))};
}

inline Tensor run_conv(const Case& c, const std::vector<Tensor>& in) {
  if (c.op == "conv2d") return conv2d(in[0], in[1], conv_options(c));
  if (c.op == "conv_transpose2d") return conv_transpose2d(in[0], in[1], conv_options(c), static_cast<int>(c.integer("output_pad", 0)));
  const std::vector<std::int64_t> kernel = c.integers("kernel");
  return conv2d_weight_grad(in[0], in[1], kernel.at(0), kernel.at(1), conv_options(c));
}

}  // namespace g2s::test
