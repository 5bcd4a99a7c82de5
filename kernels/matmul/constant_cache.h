// What operators compute once from constant weights and keep beside them.
#pragma once

#include <functional>
#include <string>

#include "engine/tensor.h"

namespace g2s::kernels {

// make(), or for a constant `source` the tensor that make() gave the first time under this key. The key must name everything but the content
// of `source` that the result depends on; its offset and shape are added here. Callable from any thread.
Tensor cached_from_constant(const Tensor& source, const std::string& key, const std::function<Tensor()>& make);

}  // namespace g2s::kernels
