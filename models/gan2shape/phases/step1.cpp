// Step 1 as a phase: the colours. Leaves the snapshot that step 2 draws from.
#include "models/gan2shape/phases/phase.h"

namespace g2s {
namespace {

class Step1Phase final : public TrainingPhase {
 public:
  explicit Step1Phase(const FitParts& fit)
      : TrainingPhase(fit), step_(method_, state_.target, config_.flip_in_step1(state_.stage), state_.snapshot.canon_mask) {
    train(step_.parameters(), adam_options(config_));
  }

 private:
  Result compute() override {
    const Step1::Updated u = step_.update();
    state_.snapshot = u.snapshot;
    return {u.losses.total, u.gradients, named(u.losses)};
  }

  Step1 step_;
};

}  // namespace

std::unique_ptr<FitPhase> make_step1(const FitParts& fit) { return std::make_unique<Step1Phase>(fit); }

}  // namespace g2s
