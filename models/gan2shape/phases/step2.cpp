// Step 2 as phases: netEnc learns what the generator knows about other views and lights; then samples are collected with it.
#include <algorithm>

#include "engine/autograd.h"
#include "kernels/shape/shape.h"
#include "models/gan2shape/phases/phase.h"

namespace g2s {
namespace {

// The views and lights that are drawn at random, where an iteration's work reads them.
class RandomViews {
 public:
  explicit RandomViews(const Config& c) : views(Tensor::empty({c.batch, 6})), lights(Tensor::empty({c.batch, 3})) {}

  // On the CPU: the same numbers for every device.
  void draw(const Config& c, Random& random) {
    const DefaultDevice host{Device{}};
    const std::int64_t b = c.batch;
    const RandomLight& r = c.rand_light;
    const Tensor dx = random.uniform({b, 1}, r.x0, r.x1), dy = random.uniform({b, 1}, r.y0, r.y1), a = random.uniform({b, 1}, r.a0, r.a1);
    const MultivariateNormal& prior = c.prior.view;
    const auto factor = prior.factor();
    const Tensor z = random.normal({b, 6}, 0, 1, DType::f64);
    std::vector<float> drawn(static_cast<std::size_t>(b * 6));
    for (std::size_t i = 0; i < static_cast<std::size_t>(b); ++i) {
      for (std::size_t row = 0; row < 6; ++row) {
        double v = prior.mean[row];
        for (std::size_t k = 0; k <= row; ++k) v += factor[row * 6 + k] * z.data<double>()[i * 6 + k];
        drawn[i * 6 + row] = static_cast<float>(v);
      }
    }
    copy_into(views, Tensor::from(drawn, {b, 6}));
    copy_into(lights, concat({dx, dy, a}, 1));
  }

  Tensor views, lights;  // [B,6], [B,3], see Step2::render
};

class Step2Phase final : public TrainingPhase {
 public:
  explicit Step2Phase(const FitParts& fit) : TrainingPhase(fit), random_(config_), step_(method_, state_.target, state_.snapshot) {
    prepare_target(method_, state_.target);
    train(step_.parameters(), adam_options(config_));
  }

 private:
  void choose() override { random_.draw(config_, state_.views); }

  Result compute() override {
    const Update u = step_.update(random_.views, random_.lights, memory_plan_.step2);
    return {u.losses.total, u.gradients, named(u.losses)};
  }

  RandomViews random_;
  Step2 step_;
};

// An iteration is a batch.
class Collect final : public FitPhase {
 public:
  explicit Collect(const FitParts& fit) : FitPhase(fit), random_(config_), step_(method_, state_.target, state_.snapshot) {
    prepare_target(method_, state_.target);
    if (state_.iteration == 0) state_.samples = {{}, {}, {}, state_.samples.index};
  }

  void iterate() override {
    NoGrad no_grad;
    random_.draw(config_, state_.views);
    const Step2::Pseudo pseudo = step_.render(random_.views, random_.lights);
    std::vector<Tensor> parts;
    for (std::int64_t begin = 0; begin < config_.batch; begin += memory_plan_.step2) {
      const std::int64_t end = std::min<std::int64_t>(begin + memory_plan_.step2, config_.batch);
      parts.push_back(step_.project(slice(pseudo.image, 0, begin, end)).image);
    }
    state_.samples.images.push_back(concat(parts, 0));
    state_.samples.masks.push_back(pseudo.mask);
  }

 private:
  RandomViews random_;
  Step2 step_;
};

}  // namespace

std::unique_ptr<FitPhase> make_step2(const FitParts& fit) { return std::make_unique<Step2Phase>(fit); }
std::unique_ptr<FitPhase> make_collect(const FitParts& fit) { return std::make_unique<Collect>(fit); }

}  // namespace g2s
