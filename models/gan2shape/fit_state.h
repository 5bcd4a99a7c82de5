// What outlives a phase of a fit, and the file that it is saved in.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/export.h"
#include "kernels/adam/adam.h"
#include "kernels/random/random.h"
#include "models/gan2shape/loss_log.h"
#include "models/gan2shape/metrics.h"
#include "models/gan2shape/steps.h"

namespace g2s G2S_EXPORTED {

// In their order; steps 1 to 3 once for each stage. phases.h has a table of them.
enum class Phase { project, prior, step1, step2, collect, step3, done };
const char* to_string(Phase phase);

// One phase that has run.
struct PhaseRecord {
  Phase phase = Phase::done;
  int stage = 0, iterations = 0;
  double seconds = 0;
  NamedLosses first, last;           // of its first and last iteration
  std::optional<Measures> measures;  // after it, with a truth
};

// The images that step 2 has projected, by batch, and the order in which step 3 takes them.
struct Samples {
  std::vector<Tensor> images, masks, rotations;  // rotations with directions only
  std::vector<std::int64_t> order;
  std::int64_t index = 0;  // goes on across stages
};

struct FitState {
  FitState(const Config& config, std::uint64_t seed) : networks(config, seed), views(seed, "views"), shuffles(seed, "shuffle") {}

  Phase phase = Phase::project;
  int stage = 0, iteration = 0;
  Networks networks;
  Target target;  // its latent, found so far, is saved; all else comes from the input
  bool projected = false;
  Snapshot snapshot;
  Samples samples;
  Random views, shuffles;
  std::vector<PhaseRecord> history;
  PhaseRecord record;  // of the running phase
  double seconds = 0;  // spent so far
};

// What a state belongs to: image, weights, settings, seed, ... An absent part is an empty one.
using FitIdentity = std::map<std::string, std::string>;
// The names of the parts that two do not have in common.
std::vector<std::string> differing_parts(const FitIdentity& mine, const FitIdentity& theirs);

// One safetensors file: the networks under their checkpoint names, and all else beside them. `optimizer` is the running phase's, or null.
void save_state(const std::string& path, const FitState& state, Adam* optimizer, const FitIdentity& identity);

// A state file. All of it throws naming the file.
class SavedState {
 public:
  explicit SavedState(const std::string& path);
  // Throws naming what differs.
  void require(const FitIdentity& identity) const;
  // On the default device.
  void restore(FitState& state) const;
  void restore(Adam& optimizer) const;

 private:
  SafetensorsFile file_;
  FitIdentity identity_;
  nlohmann::json position_;
};

}  // namespace g2s
