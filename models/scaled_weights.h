// Weights of equalised learning-rate networks (Karras et al. 2018): what the checkpoint stores times a constant.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/export.h"
#include "engine/module.h"

namespace g2s G2S_EXPORTED {

enum class WeightMode {
  frozen,     // multiplied once, then constant: operators may pack them; the stored ones are dropped
  trainable,  // the stored ones are leaves of the graph, multiplied in it at every use
};

// A parameter of a network, of which its layers read scale * arrange(parameter).
struct ScaledWeight {
  std::string name;
  ParameterKind kind = ParameterKind::plain;
  Shape shape{};
  double scale = 1;
  std::function<Tensor(const Tensor&)> arrange{};  // reshape or permute, differentiable
};

// All of them, zeros.
ParameterMap zero_parameters(const std::vector<ScaledWeight>& weights);
// Of a checkpoint's tensor; throws naming file and tensor where it has another rank.
Shape stored_shape(const SafetensorsFile& file, const std::string& name, int rank);

class ScaledWeights {
 public:
  ScaledWeights() = default;
  ScaledWeights(const std::vector<ScaledWeight>& weights, ParameterMap parameters, WeightMode mode);
  Tensor get(const std::string& name) const;  // scaled

  // The stored parameters; empty when frozen.
  ParameterMap& parameters() { return parameters_; }

 private:
  struct Use {
    ScaledWeight weight;
    Tensor baked;  // when frozen
  };
  Tensor compute(const ScaledWeight& weight) const;

  ParameterMap parameters_;
  std::unordered_map<std::string, Use> uses_;
};

}  // namespace g2s
