// Choosing a kernel's element type.
#pragma once

#include "engine/tensor.h"

namespace g2s {

// Calls launch(T{}), T being the element type of x: float or double.
template <class Launch>
void dispatch(const Tensor& x, Launch&& launch) {
  if (x.dtype() == DType::f32) launch(float{});
  else launch(double{});
}

}  // namespace g2s
