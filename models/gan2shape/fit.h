// The whole method for one image: projection into the generator, the prior, and the three steps over several stages.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/export.h"
#include "engine/progress.h"
#include "models/gan2shape/fit_state.h"
#include "models/gan2shape/memory_plan.h"

namespace g2s G2S_EXPORTED {

class FitPhase;
struct ThreadResources;

struct FitInput {
  Tensor image;           // f32 [1,S,S,3] in [-1,1]
  Tensor mask;            // f32 [1,S,S,1] in [0,1]: the object
  Tensor wide_mask;       // f32 [1,S,S,1]: where the losses look, if that is more than the object; or undefined
  int original_size = 0;  // side of the image that was cropped; only with a crop
  Tensor latent;          // [512], [1,512] or [1,L,512]; undefined: the image is projected
  Tensor pose;            // f32 [1,2]: yaw and pitch of the face in degrees, with directions; undefined: it is taken to look straight ahead
  Tensor landmarks;       // f32 [468,2]: places of the face's landmarks in `image`, x right and y down from -1 to 1; with a pose
  Tensor truth;           // f32 [1,S,S,1], background where it is largest; undefined: nothing is measured
};

struct FitProgress {
  Phase phase;
  int stage, stages;           // from 0
  int iteration, iterations;   // of the phase, done so far
  const NamedLosses* losses;   // of the last iteration; on a device of one of the last, see LossLog
  double seconds, seconds_left;  // an estimate; negative: not known yet
};
// In words: "stage 1/4 step2".
ProgressState progress_state(const FitProgress& progress);

struct FitOptions {
  std::uint64_t seed = 0;
  std::function<void(const FitProgress&)> progress;  // after every iteration. May throw, which stops the fit where it can go on
  std::string state_path;                            // where to save the state; empty: nowhere
  double save_interval = 300;                        // seconds between saves within a phase; it is also saved when cancelled and at the end of a phase
  std::size_t memory_limit = 0;                      // bytes, 0: none; steps 2 and 3 then take their batches in parts, see MemoryPlan
  const PoseDirections* directions = nullptr;        // for Config::views directions; outlives the fit
  const FaceFinder* faces = nullptr;                 // with those
  const SafetensorsFile* depth_prior = nullptr;      // netD starts from these weights (fit_depth_prior) instead of random ones
  // What the state belongs to (hashes of image, weights, ...); the configuration and the seed are added.
  FitIdentity identity;
};

// How well the generator shows the image, inside the mask and everywhere, after clamping.
struct ProjectionQuality {
  double lpips_masked = 0, mse_masked = 0, lpips = 0, mse = 0;
};

// On the CPU, wherever the fit ran.
struct FitResult {
  Target target;        // the image, its mask, its latent and what the generator makes of that
  Canonical canonical;
  Tensor texture;       // [1,S,S,3] canonical, lit as the input
  Tensor view, light;   // [1,6] radians and translations; [1,4]
  Tensor depth, normal, valid, recon;  // in the input view: [1,S,S,1], [1,S,S,3], [1,S,S,1] of {0,1}, [1,S,S,3]
  Tensor canonical_mask;               // [1,S,S,1]: the object mask seen from the canonical view
  bool projected = false;              // the latent was found here
  ProjectionQuality projection;
  NamedLosses losses;                  // of a last forward without flip
  std::optional<Measures> measures;
  std::vector<PhaseRecord> history;
};

class Fit {
 public:
  // Fresh networks from the seed, on the default device, where generator, discriminator and LPIPS must be. Throws if the input does not fit the
  // configuration. The generator, discriminator and LPIPS outlive it.
  Fit(const Config& config, const Generator& generator, const StyleGan2Discriminator* discriminator, const Lpips& lpips,
      const FitInput& input, FitOptions options);
  ~Fit();
  Fit(const Fit&) = delete;

  // Continues a saved state: the result has the same bits as without the interruption. Throws naming what differs if the state
  // belongs to other settings, image or weights.
  void resume(const std::string& path);
  void save(const std::string& path) const;

  // Runs up to `most` iterations of what is left, all of it if negative; true when the fit is finished. The bits do not depend on how the work is
  // cut, nor on which threads of the context do it, one after the other. Where the context was cancelled (Context::cancel) it saves before the
  // next iteration and throws Error(cancelled). After any other error in the middle of an iteration only resume() helps.
  bool step(std::int64_t most);
  // Throws unless the fit is finished.
  FitResult result();
  // Runs what is left.
  FitResult run();

  // Where it is. The losses are there until the next step.
  FitProgress progress() const;
  const Method& method() const { return method_; }  // its networks are those of the fit
  Phase phase() const { return state_.phase; }

 private:
  void begin();        // the running phase
  void follow_thread();
  void iterate();      // once
  void finish();       // the running phase, and goes to the next
  void read_losses();  // of the iterations since the last time
  void require_whole() const;
  void save_if_due(bool now);
  std::string position() const;  // for errors
  int iterations() const;  // of the running phase
  ProjectionQuality projection_quality() const;
  std::optional<Measures> measures() const;
  double seconds_left() const;

  Device device_;
  Config config_;
  FitOptions options_;
  FitIdentity identity_;
  MemoryPlan memory_plan_;
  Tensor object_, truth_;
  FitState state_;
  Method method_;
  LossLog losses_;
  std::unique_ptr<FitPhase> phase_;  // the running one; null until it begins
  const ThreadResources* phase_thread_ = nullptr;  // where it began
  bool half_done_ = false;  // an iteration failed
  std::chrono::steady_clock::time_point last_save_;
  std::map<Phase, std::pair<double, int>> timing_;  // seconds, iterations of this process
};

// Throws naming file and reason if a fit of these, on the default device, cannot resume the state in a file. Makes no networks.
void require_resumable(const std::string& path, const Config& config, const Generator& generator,
                       const StyleGan2Discriminator* discriminator, const FitOptions& options);

}  // namespace g2s
