#include "models/scaled_weights.h"

#include <utility>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"

namespace g2s {

Shape stored_shape(const SafetensorsFile& file, const std::string& name, int rank) {
  Shape shape = file.get(name).shape();
  if (shape.rank() != rank) fail(Errc::format, file.path(), name, " has shape ", shape, ", expected rank ", rank);
  return shape;
}

ScaledWeights::ScaledWeights(ParameterMap parameters, WeightMode mode) : parameters_(std::move(parameters)), mode_(mode) {
  if (mode_ == WeightMode::trainable) parameters_.set_trainable(true);
}

std::size_t ScaledWeights::add(const std::string& name, double scale, Arrange arrange) {
  const std::vector<Parameter>& all = parameters_.all();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].name != name) continue;
    uses_.push_back({i, scale, std::move(arrange), {}});
    return uses_.size() - 1;
  }
  fail(Errc::format, name, "the network has no such parameter");
}

void ScaledWeights::finish() {
  if (mode_ == WeightMode::trainable) return;
  NoGrad no_grad;
  for (Use& use : uses_) {
    // What is not multiplied may still be the caller's memory: the promise of constancy is for a copy.
    use.baked = use.scale == 1 ? compute(use).clone() : compute(use);
    use.baked.set_constant();
  }
  parameters_ = {};
}

Tensor ScaledWeights::get(std::size_t use) const {
  const Use& u = uses_[use];
  return mode_ == WeightMode::frozen ? u.baked : compute(u);
}

Tensor ScaledWeights::compute(const Use& use) const {
  Tensor value = parameters_.all()[use.parameter].value;
  if (use.arrange) value = use.arrange(value);
  return use.scale == 1 ? value : value * use.scale;
}

}  // namespace g2s
