// Prior: netD learns an ellipsoid, so that it is clear what bulges and what is hollow.
#include "models/gan2shape/prior.h"

#include "engine/autograd.h"
#include "models/gan2shape/phases/phase.h"

namespace g2s {
namespace {

class Prior final : public TrainingPhase {
 public:
  explicit Prior(const FitParts& fit) : TrainingPhase(fit), ellipsoid_(ellipsoid_depth(state_.target.mask, config_)) {
    train(state_.networks.netD.parameters().tensors(), adam_options(config_));
  }

 private:
  Result compute() override {
    const Tensor total = prior_loss(method_.renderer, state_.networks.netD, state_.target.image, ellipsoid_);
    return {total, grad({total}, state_.networks.netD.parameters().tensors()), {{"total", total}}};
  }

  Tensor ellipsoid_;
};

}  // namespace

std::unique_ptr<FitPhase> make_prior(const FitParts& fit) { return std::make_unique<Prior>(fit); }

}  // namespace g2s
