#include "models/gan2shape/phases/phase.h"

namespace g2s {
namespace {

// In the order of Phase.
constexpr PhaseKind kinds[] = {
    {"projection", false, false, 0.4, [](const Config& c, int) { return c.projection.w_iterations + c.projection.w_plus_iterations; }, make_projection},
    {"prior", false, true, 0.5, [](const Config& c, int) { return c.prior_iterations; }, make_prior},
    {"step1", true, true, 1, [](const Config& c, int stage) { return c.stage_length(stage).step1; }, make_step1},
    {"step2", true, true, 4.5, [](const Config& c, int stage) { return c.stage_length(stage).step2; }, make_step2},
    {"collect", true, false, 1.5, [](const Config& c, int) { return c.collect; }, make_collect},
    {"step3", true, true, 7, [](const Config& c, int stage) { return c.stage_length(stage).step3; }, make_step3},
};
static_assert(std::size(kinds) == static_cast<std::size_t>(Phase::done));

constexpr Phase first_of_stage = Phase::step1;

}  // namespace

const PhaseKind& kind_of(Phase phase) {
  const auto i = static_cast<std::size_t>(phase);
  if (i >= std::size(kinds)) fail(Errc::internal, "fit", "there is no phase ", i);
  return kinds[i];
}

const char* to_string(Phase phase) { return phase == Phase::done ? "done" : kind_of(phase).name; }

void advance(const Config& config, Phase& phase, int& stage) {
  do {
    phase = static_cast<Phase>(static_cast<int>(phase) + 1);
    if (phase == Phase::done && ++stage < config.stages) phase = first_of_stage;
  } while (phase != Phase::done && kind_of(phase).iterations(config, stage) == 0);
}

}  // namespace g2s
