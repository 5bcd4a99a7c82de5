// Tensors and texts that the library owns for the caller.
#pragma once

#include <string>
#include <utility>

#include "c_api/call.h"
#include "c_api/handles.h"
#include "engine/tensor.h"

namespace g2s::capi {

struct TensorObject {
  using Handle = g2s_tensor;
  static constexpr Kind kind = Kind::tensor;
  Tensor value;  // what it was computed from on a device has been waited for
};

struct TextObject {
  using Handle = g2s_text;
  static constexpr Kind kind = Kind::text;
  std::string text;
};

inline g2s_tensor give_tensor(Tensor value) { return give(std::make_shared<TensorObject>(TensorObject{value.detach()})); }
inline g2s_text give_text(std::string text) { return give(std::make_shared<TextObject>(TextObject{std::move(text)})); }

}  // namespace g2s::capi
