// Projection: a latent whose generated image resembles the input, first one vector for all layers (W), then one for each (W+).
#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "models/gan2shape/losses.h"
#include "models/gan2shape/phases/phase.h"

namespace g2s {
namespace {

// Linear warm-up, then cosine decay to 0.
double scheduled_lr(const ProjectionConfig& p, int iteration, int iterations) {
  const double warm = std::min(1.0, (iteration + 1.0) / std::max(1, p.warm_up));
  return p.lr * warm * (0.5 + 0.5 * std::cos(std::numbers::pi * iteration / std::max(1, iterations)));
}

class Projection final : public TrainingPhase {
 public:
  explicit Projection(const FitParts& fit) : TrainingPhase(fit), target_(state_.target) {
    {
      NoGrad no_grad;
      wanted_ = method_.lpips.features(target_.image * target_.mask);
    }
    start_from(target_.latent ? target_.latent : target_.mean_latent);
  }

  void finish() override { state_.projected = true; }

 private:
  void choose() override {
    const ProjectionConfig& p = config_.projection;
    const bool w_plus = state_.iteration >= p.w_iterations;
    if (w_plus && latent_.rank() == 2) {
      const std::int64_t dim = latent_.dim(1);
      start_from(broadcast_to(latent_.detach().reshape({1, 1, dim}), {1, method_.generator.config().latents(), dim}));
    }
    optimizer()->set_lr(w_plus ? scheduled_lr(p, state_.iteration - p.w_iterations, p.w_plus_iterations)
                               : scheduled_lr(p, state_.iteration, p.w_iterations));
  }

  Result compute() override {
    const Lpips& lpips = method_.lpips;
    const Tensor y = at_input_size(method_, target_, generate(method_, target_, latent_));
    const Tensor distance = mean(lpips.distance(lpips.features(y * target_.mask), wanted_)), mse = masked_mse(y, target_.image, target_.mask);
    const Tensor total = distance * config_.projection.lam_perc + mse;
    return {total, grad({total}, {latent_}), {{"lpips", distance}, {"mse", mse}, {"total", total}}};
  }

  void start_from(const Tensor& latent) {
    latent_ = latent.clone().set_requires_grad();
    target_.latent = latent_.detach();  // the same numbers: the state has what is found so far
    train({latent_}, {config_.projection.lr, 0.9, 0.999, 1e-8, 0});
  }

  Target& target_;
  Tensor latent_;  // a leaf
  Lpips::Features wanted_;
};

}  // namespace

std::unique_ptr<FitPhase> make_projection(const FitParts& fit) { return std::make_unique<Projection>(fit); }

}  // namespace g2s
