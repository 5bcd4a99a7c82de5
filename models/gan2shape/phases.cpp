#include "models/gan2shape/phases.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "engine/autograd.h"
#include "engine/captured_graph.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "models/gan2shape/losses.h"
#include "models/gan2shape/prior.h"
#include "models/gan2shape/tracked_prior.h"

namespace g2s {
namespace {

// A phase that trains. On a device an iteration is one launch of a graph, see engine/captured_graph.h.
class TrainingPhase : public FitPhase {
 public:
  // What differs from the last iteration is copied to where the work reads it; then the work is done again.
  void iterate() final {
    choose();
    if (!graph_) graph_ = std::make_unique<CapturedGraph>(default_device(), to_string(state_.phase), [this] { work(); });
    graph_->run();
  }
  Adam* optimizer() final { return adam_.get(); }

 protected:
  struct Result {
    Tensor total;
    std::vector<Tensor> gradients;  // of total to what is trained
    NamedTensors losses;
  };
  using FitPhase::FitPhase;
  // From now on these, with a fresh optimiser.
  void train(std::vector<Tensor> parameters, const AdamOptions& options) {
    graph_.reset();
    adam_ = std::make_unique<Adam>(std::move(parameters), options);
  }
  // The host's part of an iteration: fills what compute() reads.
  virtual void choose() {}
  // The device's part.
  virtual Result compute() = 0;

 private:
  // On a device a loss is looked at later.
  void work() {
    const Result r = compute();
    if (default_device().type == DeviceType::cpu) require_finite(r.total.item(), state_, state_.iteration + 1);
    adam_->step(r.gradients);
    losses_.set(r.losses);
  }

  std::unique_ptr<Adam> adam_;
  std::unique_ptr<CapturedGraph> graph_;
};

// ---- Projection: a latent whose generated image resembles the input, first one vector for all layers (W), then one for each (W+).

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
      start_from(broadcast_to(latent_.detach().reshape({1, 1, dim}), {1, method_.generator.latents(), dim}));
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

// ---- Prior: netD learns an ellipsoid, so that it is clear what bulges and what is hollow.

class Prior final : public TrainingPhase {
 public:
  explicit Prior(const FitParts& fit) : TrainingPhase(fit), ellipsoid_(ellipsoid_depth(state_.target.mask, config_)) {
    train(state_.networks.netD.parameters().tensors(), adam_options(config_));
  }

 private:
  Result compute() override {
    const Tensor total = prior_loss(method_.renderer, state_.networks.netD, state_.target.image, ellipsoid_);
    return {total, grad({total}, state_.networks.netD.parameters().tensors()), {{"total", total}}};
  }

  Tensor ellipsoid_;
};

// Of a face: the shape that the generator shows when it turns the head. netD learns what differs from it.
class TrackedPrior final : public FitPhase {
 public:
  explicit TrackedPrior(const FitParts& fit) : FitPhase(fit) {}
  void iterate() override {
    Target& t = state_.target;
    const TrackedFace face = tracked_face(method_, t);
    t.base = method_.renderer.base_of(face.depth);
    t.rotations = face.rotations;
    t.drawn_rotations = face.drawn_rotations;
    t.turn = face.turn;
    if (!t.mask_is_hull) return;
    t.canonical_object = face.mask;
    t.canonical_mask = face.wide_mask;
  }
};

std::unique_ptr<FitPhase> make_prior(const FitParts& fit) {
  if (fit.method.directions) return std::make_unique<TrackedPrior>(fit);
  return std::make_unique<Prior>(fit);
}

// ---- Step 1 as a phase: the colours. Leaves the snapshot that step 2 draws from.

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

// ---- Step 2 as phases: netEnc learns what the generator knows about other views and lights; then samples are collected with it.

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
    if (state_.iteration == 0) state_.samples = {{}, {}, {}, {}, state_.samples.index};
  }

  void iterate() override {
    NoGrad no_grad;
    random_.draw(config_, state_.views);
    const Step2::Pseudo pseudo = step_.render(random_.views, random_.lights);
    std::vector<Tensor> parts;
    for (std::int64_t begin = 0; begin < config_.batch; begin += memory_plan_.step2) {
      const std::int64_t end = std::min<std::int64_t>(begin + memory_plan_.step2, config_.batch);
      const Tensor rotations = pseudo.rotations ? slice(pseudo.rotations, 0, begin, end) : Tensor();
      parts.push_back(step_.project(slice(pseudo.image, 0, begin, end), rotations).image);
    }
    state_.samples.images.push_back(concat(parts, 0));
    state_.samples.masks.push_back(pseudo.mask);
    if (pseudo.rotations) state_.samples.rotations.push_back(pseudo.rotations);
  }

 private:
  RandomViews random_;
  Step2 step_;
};

// ---- Step 3 as a phase: shape, colours, views and lights, from the input and batches of the samples.

// One image of a batch, in place.
Tensor image_of(const Tensor& batch, std::int64_t i) {
  Shape shape = batch.shape();
  shape[0] = 1;
  const auto begin = static_cast<std::size_t>(static_cast<const char*>(batch.raw()) - static_cast<const char*>(batch.storage()->data()));
  return Tensor::wrap(batch.storage(), shape, batch.dtype(), begin + static_cast<std::size_t>(i) * (batch.bytes() / static_cast<std::size_t>(batch.dim(0))));
}

class Step3Phase final : public TrainingPhase {
 public:
  explicit Step3Phase(const FitParts& fit) : TrainingPhase(fit), step_(method_, state_.target, config_.flip_in_step3(state_.stage)) {
    const std::int64_t b = config_.batch_of_step3(), s = config_.size;
    images_ = Tensor::empty({b, s, s, 3});
    masks_ = Tensor::empty({b, s, s, 1});
    if (method_.directions) rotations_ = Tensor::empty({b, 2});
    train(step_.parameters(), adam_options(config_));
  }

 private:
  // The index advances before use, so the very first batch is skipped; where the samples run out it starts again in a new order. So a batch may be
  // as large as all the samples, and Config::validate sees to it that it is not larger.
  void choose() override {
    Samples& all = state_.samples;
    const std::int64_t collected = config_.batch, b = config_.batch_of_step3(), count = collected * static_cast<std::int64_t>(all.images.size());
    if (all.order.empty()) {
      all.order.resize(static_cast<std::size_t>(count));
      std::iota(all.order.begin(), all.order.end(), 0);
    }
    all.index += b;
    if (all.index + b >= count) {
      all.index = 0;
      const auto shuffle = state_.shuffles.permutation(count);
      std::vector<std::int64_t> order(all.order.size());
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = all.order[static_cast<std::size_t>(shuffle[i])];
      all.order = std::move(order);
    }
    for (std::int64_t i = 0; i < b; ++i) {
      const std::int64_t k = all.order[static_cast<std::size_t>(all.index + i)];
      const auto batch = static_cast<std::size_t>(k / collected);
      Tensor image = image_of(images_, i), mask = image_of(masks_, i);
      copy_into(image, image_of(all.images[batch], k % collected));
      copy_into(mask, image_of(all.masks[batch], k % collected));
      if (!rotations_) continue;
      Tensor rotation = image_of(rotations_, i);
      copy_into(rotation, image_of(all.rotations[batch], k % collected));
    }
  }

  Result compute() override {
    const Step3::PartedUpdate u = step_.update({images_, masks_, rotations_}, memory_plan_.step3);
    state_.snapshot.canon_mask = u.canon_mask;
    NamedTensors losses = named(u.batch);
    for (const auto& input : named(u.input, "input_")) losses.push_back(input);
    return {u.batch.total, u.gradients, losses};
  }

  Step3 step_;
  Tensor images_, masks_, rotations_;  // of this iteration: where the work reads them
};

template <class Kind>
std::unique_ptr<FitPhase> make(const FitParts& fit) {
  return std::make_unique<Kind>(fit);
}

// In the order of Phase.
constexpr PhaseKind kinds[] = {
    {"projection", false, 0.4, [](const Config& c, int) { return c.projection.w_iterations + c.projection.w_plus_iterations; }, make<Projection>},
    {"prior", true, 0.5, [](const Config& c, int) { return c.views == ViewSource::directions ? 1 : c.prior_iterations; }, make_prior},
    {"step1", true, 1, [](const Config& c, int stage) { return c.stage_length(stage).step1; }, make<Step1Phase>},
    {"step2", true, 4.5, [](const Config& c, int stage) { return c.stage_length(stage).step2; }, make<Step2Phase>},
    {"collect", false, 1.5, [](const Config& c, int) { return c.collect; }, make<Collect>},
    {"step3", true, 7, [](const Config& c, int stage) { return c.stage_length(stage).step3; }, make<Step3Phase>},
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

}  // namespace g2s
