// The phases of a fit as objects, and the table of their order.
#pragma once

#include <memory>

#include "engine/export.h"
#include "models/gan2shape/fit_state.h"
#include "models/gan2shape/memory_plan.h"

namespace g2s G2S_EXPORTED {

// What the phases of a fit work on.
struct FitParts {
  const Method& method;
  const MemoryPlan& plan;
  FitState& state;
  LossLog& losses;
};

// One phase from its first iteration, or from where a saved state goes on, to its last. Its constructor prepares what the iterations need;
// what later phases need lies in the FitState.
class FitPhase {
 public:
  virtual ~FitPhase() = default;
  FitPhase(const FitPhase&) = delete;
  virtual void iterate() = 0;
  virtual void finish() {}                       // after the last iteration
  virtual Adam* optimizer() { return nullptr; }  // saved beside the state; null: nothing is trained

 protected:
  explicit FitPhase(const FitParts& fit)
      : method_(fit.method), config_(fit.method.config), memory_plan_(fit.plan), state_(fit.state), losses_(fit.losses) {}

  const Method& method_;
  const Config& config_;
  const MemoryPlan& memory_plan_;
  FitState& state_;
  LossLog& losses_;
};

// Throws if the loss of an iteration of the running phase is not finite.
void require_finite(double loss, const FitState& state, int iteration);

struct PhaseKind {
  const char* name;
  bool measured;  // against the truth, when it is over
  double cost;    // of an iteration, roughly, in iterations of step 1: until this machine has shown its own
  int (*iterations)(const Config& config, int stage);
  std::unique_ptr<FitPhase> (*make)(const FitParts& fit);
};

const PhaseKind& kind_of(Phase phase);  // not of Phase::done
// Goes to the next phase that has iterations, of this stage or a later one, or to Phase::done.
void advance(const Config& config, Phase& phase, int& stage);

}  // namespace g2s
