// Weights of equalised learning-rate networks (Karras et al. 2018): what the checkpoint stores times a constant.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "engine/module.h"

namespace g2s {

enum class WeightMode {
  frozen,     // multiplied once, then constant: operators may pack them; the stored ones are dropped
  trainable,  // the stored ones are leaves of the graph, multiplied in it at every use
};

// Of a checkpoint's tensor; throws naming file and tensor where it has another rank.
Shape stored_shape(const SafetensorsFile& file, const std::string& name, int rank);

class ScaledWeights {
 public:
  using Arrange = std::function<Tensor(const Tensor&)>;  // reshape or permute, differentiable

  ScaledWeights() = default;
  ScaledWeights(ParameterMap parameters, WeightMode mode);

  // Declares a use of parameter `name` as scale * arrange(parameter); gives the number to get() it by.
  std::size_t add(const std::string& name, double scale = 1, Arrange arrange = {});
  // After the last add().
  void finish();
  Tensor get(std::size_t use) const;

  WeightMode mode() const { return mode_; }
  // The stored parameters; empty when frozen.
  ParameterMap& parameters() { return parameters_; }
  const ParameterMap& parameters() const { return parameters_; }

 private:
  struct Use {
    std::size_t parameter;
    double scale;
    Arrange arrange;
    Tensor baked;
  };
  Tensor compute(const Use& use) const;

  ParameterMap parameters_;
  WeightMode mode_ = WeightMode::frozen;
  std::vector<Use> uses_;
};

}  // namespace g2s
