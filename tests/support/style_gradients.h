// For operators that multiply a style into what they read.
#pragma once

#include <doctest/doctest.h>

#include "engine/autograd.h"
#include "tests/support/check.h"

namespace g2s::test {

// y of x and style, in one operator, is `composed` of the same leaves, as are its gradients: with a graph, without, and of one of them alone.
inline void check_style_gradients(const Tensor& y, const Tensor& composed, const Tensor& x, const Tensor& style) {
  const Tensor dy = hashed_input("dy", y.shape());
  CHECK(rel_error(y, composed) < 1e-6);
  const std::vector<Tensor> want = grad({composed}, {x, style}, {dy});
  CHECK(rel_error(grad({y}, {x, style}, {dy}, {.retain_graph = true}), want) < 1e-6);
  CHECK(rel_error(grad({y}, {x}, {dy}, {.retain_graph = true})[0], want[0]) < 1e-6);
  CHECK(rel_error(grad({y}, {style}, {dy}, {.retain_graph = true})[0], want[1]) < 1e-6);
  CHECK(rel_error(grad({y}, {x, style}, {dy}, {.create_graph = true}), want) < 1e-6);
}

}  // namespace g2s::test
