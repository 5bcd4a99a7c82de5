#include "models/gan2shape/phases/phase.h"

#include <cmath>

namespace g2s {
namespace {

// In the order of Phase.
constexpr PhaseKind kinds[] = {
    {"projection", false, 0.4, [](const Config& c, int) { return c.projection.w_iterations + c.projection.w_plus_iterations; }, make_projection},
    {"prior", true, 0.5, [](const Config& c, int) { return c.prior_iterations; }, make_prior},
    {"step1", true, 1, [](const Config& c, int stage) { return c.stage_length(stage).step1; }, make_step1},
    {"step2", true, 4.5, [](const Config& c, int stage) { return c.stage_length(stage).step2; }, make_step2},
    {"collect", false, 1.5, [](const Config& c, int) { return c.collect; }, make_collect},
    {"step3", true, 7, [](const Config& c, int stage) { return c.stage_length(stage).step3; }, make_step3},
};
constexpr Phase first_of_stage = Phase::step1;
static_assert(std::size(kinds) == static_cast<std::size_t>(Phase::done));

}  // namespace

const PhaseKind& kind_of(Phase phase) {
  const auto i = static_cast<std::size_t>(phase);
  check(i < std::size(kinds), "fit", "there is no phase ", i);
  return kinds[i];
}

const char* to_string(Phase phase) { return phase == Phase::done ? "done" : kind_of(phase).name; }

void advance(const Config& config, Phase& phase, int& stage) {
  do {
    phase = static_cast<Phase>(static_cast<int>(phase) + 1);
    if (phase == Phase::done && ++stage < config.stages) phase = first_of_stage;
  } while (phase != Phase::done && kind_of(phase).iterations(config, stage) == 0);
}

void require_finite(double loss, const FitState& state, int iteration) {
  if (!std::isfinite(loss)) {
    fail(Errc::internal, "fit", "the loss is not finite in ", to_string(state.phase), " of stage ", state.stage + 1, ", iteration ", iteration,
         ": is the object inside the picture?");
  }
}

void TrainingPhase::train(std::vector<Tensor> parameters, const AdamOptions& options) {
  graph_.reset();
  adam_ = std::make_unique<Adam>(std::move(parameters), options);
}

// What differs from the last iteration is copied to where the work reads it; then the work is done again.
void TrainingPhase::iterate() {
  choose();
  if (!graph_) graph_ = std::make_unique<CapturedGraph>(default_device(), to_string(state_.phase), [this] { work(); });
  graph_->run();
}

// On a device a loss is looked at later.
void TrainingPhase::work() {
  const Result r = compute();
  if (default_device().type == DeviceType::cpu) require_finite(r.total.item(), state_, state_.iteration + 1);
  adam_->step(r.gradients);
  losses_.set(r.losses);
}

}  // namespace g2s
