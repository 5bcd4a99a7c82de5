#include "models/gan2shape/phases/phase.h"

#include <cmath>

namespace g2s {

void require_finite(double loss, const FitState& state, int iteration) {
  if (!std::isfinite(loss)) {
    fail(Errc::internal, "fit", "the loss is not finite in ", to_string(state.phase), " of stage ", state.stage + 1, ", iteration ", iteration,
         ": is the object inside the picture?");
  }
}

void TrainingPhase::train(std::vector<Tensor> parameters, const AdamOptions& options) {
  replay_.reset();
  adam_ = std::make_unique<Adam>(std::move(parameters), options);
}

// What differs from the last iteration is copied to where the work reads it; then the work is done again.
void TrainingPhase::iterate() {
  choose();
  if (!replay_) replay_ = std::make_unique<Replay>(default_device(), to_string(state_.phase), [this] { work(); });
  replay_->run();
}

// On a device a loss is looked at later.
void TrainingPhase::work() {
  const Result r = compute();
  if (default_device().type == DeviceType::cpu) require_finite(r.total.item(), state_, state_.iteration + 1);
  adam_->step(r.gradients);
  losses_.set(r.losses);
}

}  // namespace g2s
