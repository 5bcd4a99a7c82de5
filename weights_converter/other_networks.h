// Networks that people take for StyleGAN2: told by their tensors' names, so that a refusal can say what a file has.
#pragma once

#include <optional>
#include <string>

#include "weights_converter/checkpoint.h"

namespace g2s::convert {

struct OtherNetwork {
  const char* title;   // a StyleGAN3 generator
  std::string tensor;  // whose name says so
};
// Among the tensors whose names begin with `prefix`.
std::optional<OtherNetwork> find_other_network(const Checkpoint& checkpoint, const std::string& prefix = "");

}  // namespace g2s::convert
