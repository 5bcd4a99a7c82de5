// The whole method for one picture: projection into the generator, the prior, and the three steps over several stages.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/replay.h"
#include "kernels/adam/adam.h"
#include "kernels/random/random.h"
#include "models/gan2shape/loss_log.h"
#include "models/gan2shape/memory_plan.h"
#include "models/gan2shape/metrics.h"
#include "models/gan2shape/steps.h"

namespace g2s {

enum class Phase { project, prior, step1, step2, collect, step3, done };
const char* to_string(Phase phase);

struct FitInput {
  Tensor image;           // f32 [1,S,S,3] in [-1,1]
  Tensor mask;            // f32 [1,S,S,1] in [0,1]: the object
  int original_size = 0;  // side of the picture that was cropped; only with a crop
  Tensor latent;          // [512], [1,512] or [1,L,512]; undefined: the picture is projected
  Tensor truth;           // f32 [1,S,S,1], background where it is largest; undefined: nothing is measured
};

struct FitProgress {
  Phase phase;
  int stage, stages;           // from 0
  int iteration, iterations;   // of the phase, done so far
  const NamedLosses* losses;   // of the last iteration; on a device of one of the last, see LossLog
  double seconds, seconds_left;  // an estimate
};

struct FitOptions {
  std::uint64_t seed = 0;
  std::function<void(const FitProgress&)> progress;  // after every iteration
  std::function<bool()> cancelled;                   // asked before every iteration: save, then throw Error(cancelled)
  std::string state_path;                            // where to save the state; empty: nowhere
  double save_interval = 300;                        // seconds between saves within a phase; it is also saved when cancelled and at the end of a phase
  std::size_t memory_limit = 0;                      // bytes, 0: none; steps 2 and 3 then take their batches in parts, see MemoryPlan
  const SafetensorsFile* depth_prior = nullptr;      // netD starts from these weights (fit_depth_prior) instead of random ones
  // What the state belongs to (hashes of picture, weights, ...); the configuration and the seed are added.
  std::map<std::string, std::string> identity;
};

// How well the generator shows the picture, inside the mask and everywhere, after clamping.
struct ProjectionQuality {
  double lpips_masked = 0, mse_masked = 0, lpips = 0, mse = 0;
};

// One phase that has run.
struct PhaseRecord {
  Phase phase = Phase::done;
  int stage = 0, iterations = 0;
  double seconds = 0;
  NamedLosses first, last;           // of its first and last iteration
  std::optional<Measures> measures;  // after it, with a truth
};

struct FitResult {
  Canonical canonical;
  Tensor texture;       // [1,S,S,3] canonical, lit as the input
  Tensor view, light;   // [1,6] radians and translations; [1,4]
  Tensor depth, normal, valid, recon;  // in the input view: [1,S,S,1], [1,S,S,3], [1,S,S,1] of {0,1}, [1,S,S,3]
  Tensor canonical_mask;               // [1,S,S,1]: the object mask seen from the canonical view
  Tensor latent;                       // [1,512] or [1,L,512]
  bool projected = false;              // the latent was found here
  ProjectionQuality projection;
  NamedLosses losses;                  // of a last forward without flip
  std::optional<Measures> measures;
  std::vector<PhaseRecord> history;
};

// The same tensors on another device.
FitResult moved(const FitResult& result, Device device);

class Fit {
 public:
  // Fresh networks from the seed, on the default device, where generator, discriminator and LPIPS must be. Throws if the input does not fit the configuration. The generator, discriminator and LPIPS outlive it.
  Fit(const Config& config, const StyleGan2Generator& generator, const StyleGan2Discriminator& discriminator, const Lpips& lpips,
      FitInput input, FitOptions options);
  Fit(const Fit&) = delete;

  // Continues a saved state: the result has the same bits as without the interruption. Throws naming what differs if the state
  // belongs to other settings, picture or weights.
  void resume(const std::string& path);
  void save(const std::string& path) const;

  // Runs what is left.
  FitResult run();

  const Method& method() const { return method_; }
  const Target& target() const { return target_; }
  const Networks& networks() const { return networks_; }
  Phase phase() const { return phase_; }

 private:
  int iterations_of(Phase phase, int stage) const;
  void advance();           // to the next phase that has something to do
  void prepare();           // the target, once its latent is known
  void begin();             // what the phase needs
  void make_optimizer();
  void iterate();
  void look();              // at the losses of the iterations since the last time
  void finish();            // of the phase
  // The host's part of an iteration, which fills what the work reads.
  void prepare_projection();
  void draw_views_and_lights();
  void choose_batch();
  // The device's part.
  void work();
  void project();
  void fit_prior();
  void step1();
  void step2();
  void step3();
  void collect_batch();
  void update(const Tensor& total);
  void update(const Tensor& total, const std::vector<Tensor>& gradients);
  void require_finite(double loss, int iteration) const;
  std::vector<Tensor> trained() const;
  ProjectionQuality projection_quality() const;
  std::optional<Measures> measures() const;
  double seconds_left() const;
  std::map<std::string, std::string> full_identity() const;
  FitResult result() const;

  Device device_;
  Config config_;
  Networks networks_;
  Method method_;
  FitInput input_;
  FitOptions options_;
  Target target_;

  // The state: everything below up to the line is saved.
  Phase phase_ = Phase::project;
  int stage_ = 0, iteration_ = 0;
  bool projected_ = false;
  std::unique_ptr<Adam> adam_;
  Tensor latent_;  // being projected: a leaf
  Snapshot snapshot_;
  std::vector<Tensor> images_, masks_;  // projected samples, by batch
  std::vector<std::int64_t> order_;     // in which step 3 takes them
  std::int64_t sample_index_ = 0;       // goes on across stages
  Random views_, shuffles_;
  std::vector<PhaseRecord> history_;
  PhaseRecord record_;  // of the running phase
  double seconds_ = 0;  // spent so far
  // ----

  MemoryPlan plan_;
  LossLog losses_;
  Tensor view_input_, light_input_;    // of step 2: [B,6], [B,3]
  Tensor image_input_, mask_input_;    // of step 3
  Tensor ellipsoid_, mean_latent_;
  Lpips::Features projection_features_;
  std::unique_ptr<Step1> step1_;
  std::unique_ptr<Step2> step2_;
  std::unique_ptr<Step3> step3_;
  std::unique_ptr<Replay> replay_;  // of the phase's work
  bool begun_ = false;
  std::map<Phase, std::pair<double, int>> timing_;  // seconds, iterations of this process
};

}  // namespace g2s
