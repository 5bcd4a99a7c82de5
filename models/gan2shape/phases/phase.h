// The phases of a fit as objects, and the table of their order.
#pragma once

#include <memory>

#include "engine/captured_graph.h"
#include "models/gan2shape/fit_state.h"
#include "models/gan2shape/memory_plan.h"

namespace g2s {

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
  virtual void finish() {}                         // after the last iteration
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

// A phase that trains. On a device an iteration is one launch of a graph, see engine/captured_graph.h.
class TrainingPhase : public FitPhase {
 public:
  void iterate() final;
  Adam* optimizer() final { return adam_.get(); }

 protected:
  struct Result {
    Tensor total;
    std::vector<Tensor> gradients;  // of total to what is trained
    NamedTensors losses;
  };
  using FitPhase::FitPhase;
  // From now on these, with a fresh optimiser.
  void train(std::vector<Tensor> parameters, const AdamOptions& options);
  // The host's part of an iteration: fills what compute() reads.
  virtual void choose() {}
  // The device's part.
  virtual Result compute() = 0;

 private:
  void work();

  std::unique_ptr<Adam> adam_;
  std::unique_ptr<CapturedGraph> graph_;
};

// Throws if the loss of an iteration of the running phase is not finite.
void require_finite(double loss, const FitState& state, int iteration);

std::unique_ptr<FitPhase> make_projection(const FitParts& fit);
std::unique_ptr<FitPhase> make_prior(const FitParts& fit);
std::unique_ptr<FitPhase> make_step1(const FitParts& fit);
std::unique_ptr<FitPhase> make_step2(const FitParts& fit);
std::unique_ptr<FitPhase> make_collect(const FitParts& fit);
std::unique_ptr<FitPhase> make_step3(const FitParts& fit);

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
