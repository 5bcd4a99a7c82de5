#include "models/scaled_weights.h"

#include <utility>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"

namespace g2s {

ParameterMap zero_parameters(const std::vector<ScaledWeight>& weights) {
  ParameterMap map;
  for (const ScaledWeight& w : weights) map.add(w.name, w.kind, Tensor::zeros(w.shape));
  return map;
}

Shape stored_shape(const SafetensorsFile& file, const std::string& name, int rank) {
  Shape shape = file.get(name).shape();
  if (shape.rank() != rank) fail(Errc::format, file.path(), name, " has shape ", shape, ", expected rank ", rank);
  return shape;
}

ScaledWeights::ScaledWeights(const std::vector<ScaledWeight>& weights, ParameterMap parameters, WeightMode mode) : parameters_(std::move(parameters)) {
  for (const ScaledWeight& w : weights) uses_[w.name] = {w, {}};
  if (mode == WeightMode::trainable) {
    parameters_.set_trainable(true);
    return;
  }
  NoGrad no_grad;
  for (auto& [name, use] : uses_) {
    // What is not multiplied may still be the caller's memory: the promise of constancy is for a copy.
    use.baked = use.weight.scale == 1 ? compute(use.weight).clone() : compute(use.weight);
    use.baked.set_constant();
  }
  parameters_ = {};
}

Tensor ScaledWeights::get(const std::string& name) const {
  const Use& use = uses_.at(name);
  return use.baked ? use.baked : compute(use.weight);
}

Tensor ScaledWeights::compute(const ScaledWeight& weight) const {
  Tensor value = parameters_[weight.name];
  if (weight.arrange) value = weight.arrange(value);
  return weight.scale == 1 ? value : value * weight.scale;
}

}  // namespace g2s
