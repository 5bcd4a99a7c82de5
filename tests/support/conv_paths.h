// Runs a check with each way in which the f32 convolutions can be computed, each forced in turn.
#pragma once

#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "engine/context.h"
#include "kernels/conv/conv_choice.h"

namespace g2s::test {

struct ForcedConvPath : WithOverride {
  explicit ForcedConvPath(std::optional<kernels::ConvPath> path) : WithOverride("G2S_CONV_PATH", path ? kernels::to_string(*path) : nullptr) {}
};

// fn() as users run it, then with each path.
template <class Fn>
void with_each_conv_path(Fn fn) {
  using kernels::ConvPath;
  for (std::optional<ConvPath> path : {std::optional<ConvPath>{}, std::optional{ConvPath::direct}, std::optional{ConvPath::winograd6},
                                       std::optional{ConvPath::winograd4}}) {
    ForcedConvPath forced(path);
    const std::string name = path ? kernels::to_string(*path) : "not forced";
    CAPTURE(name);
    fn();
  }
}

}  // namespace g2s::test
