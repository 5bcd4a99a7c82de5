#include "models/gan2shape/fit.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "models/gan2shape/prior.h"

namespace g2s {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Rough cost of one iteration of each phase, in iterations of step 1: until this machine has shown its own.
double relative_cost(Phase phase) {
  switch (phase) {
    case Phase::project: return 0.4;
    case Phase::prior: return 0.5;
    case Phase::step1: return 1;
    case Phase::step2: return 4.5;
    case Phase::collect: return 1.5;
    case Phase::step3: return 7;
    case Phase::done: break;
  }
  return 0;
}

using LossTensors = std::vector<std::pair<std::string, Tensor>>;

LossTensors named(const Losses& l, const std::string& prefix = "") {
  return {{prefix + "l1", l.l1},
          {prefix + "lpips", l.lpips},
          {prefix + "l1_flip", l.l1_flip},
          {prefix + "lpips_flip", l.lpips_flip},
          {prefix + "smooth_depth", l.smooth_depth},
          {prefix + "smooth_diffuse", l.smooth_diffuse},
          {prefix + "disc", l.disc},
          {prefix + "latent_norm", l.latent_norm},
          {prefix + "total", l.total}};
}

// One picture of a batch, in place.
Tensor picture(const Tensor& batch, std::int64_t i) {
  Shape shape = batch.shape();
  shape[0] = 1;
  const auto begin = static_cast<std::size_t>(static_cast<const char*>(batch.raw()) - static_cast<const char*>(batch.storage()->data()));
  return Tensor::wrap(batch.storage(), shape, batch.dtype(), begin + static_cast<std::size_t>(i) * (batch.bytes() / static_cast<std::size_t>(batch.dim(0))));
}

Tensor masked_mse(const Tensor& a, const Tensor& b, const Tensor& mask) {
  return sum(square(a - b) * (mask / (sum(mask) * static_cast<double>(a.dim(3)))));
}

// Linear warm-up, then cosine decay to 0.
double scheduled_lr(const ProjectionConfig& p, int iteration, int iterations) {
  const double warm = std::min(1.0, (iteration + 1.0) / std::max(1, p.warm_up));
  return p.lr * warm * (0.5 + 0.5 * std::cos(std::numbers::pi * iteration / std::max(1, iterations)));
}

Tensor per_layer(const Tensor& w, int layers) {
  return broadcast_to(w.reshape({1, 1, w.dim(1)}), {1, layers, w.dim(1)}).clone();
}

}  // namespace

const char* to_string(Phase phase) {
  switch (phase) {
    case Phase::project: return "projection";
    case Phase::prior: return "prior";
    case Phase::step1: return "step1";
    case Phase::step2: return "step2";
    case Phase::collect: return "collect";
    case Phase::step3: return "step3";
    case Phase::done: return "done";
  }
  return "";
}

Fit::Fit(const Config& config, const StyleGan2Generator& generator, const StyleGan2Discriminator& discriminator, const Lpips& lpips,
         FitInput input, FitOptions options)
    : device_(default_device()),
      config_(config),
      networks_(config_, options.seed),
      method_(config_, networks_, generator, discriminator, lpips),
      input_(std::move(input)),
      options_(std::move(options)),
      views_(options_.seed, "views"),
      shuffles_(options_.seed, "shuffle"),
      losses_(device_) {
  config_.validate();
  for (Tensor* t : {&input_.image, &input_.mask, &input_.latent, &input_.truth})
    if (*t) *t = t->to(device_);
  const std::int64_t s = config_.size;
  auto require = [&](const Tensor& t, const char* name, std::int64_t channels) {
    check(t.shape() == Shape{1, s, s, channels} && t.dtype() == DType::f32, "fit", name, " must be f32 ", Shape{1, s, s, channels}, ", is ",
          describe(t));
  };
  require(input_.image, "image", 3);
  require(input_.mask, "mask", 1);
  if (input_.truth) require(input_.truth, "truth", 1);
  if (generator.config().size != config_.gan_size) {
    fail(Errc::invalid_argument, "generator", "makes pictures of ", generator.config().size, " pixels, the preset '", config_.preset, "' expects ",
         config_.gan_size);
  }
  plan_ = plan_memory(config_, generator.config(), discriminator.config(), options_.memory_limit, device_.type);
  ellipsoid_ = ellipsoid_depth(input_.mask, config_);
  if (options_.depth_prior) networks_.netD.load(*options_.depth_prior, "netD.");
  networks_.set_trainable();
  target_.image = input_.image;
  target_.mask = input_.mask;
  target_.original_size = input_.original_size;
  check(config_.crop == 0 || target_.original_size >= config_.crop, "fit", "a crop of ", config_.crop, " pixels needs the original picture's size");
  Random samples(options_.seed, "mean_latent");
  if (config_.truncation < 1 || !input_.latent) mean_latent_ = generator.mean_latent(samples, config_.projection.mean_samples);
  target_.mean_latent = mean_latent_;
  const std::int64_t dim = generator.config().style_dim;
  if (input_.latent) {
    Tensor latent = input_.latent.to(DType::f32);
    if (latent.rank() == 1) latent = latent.reshape({1, latent.dim(0)});
    const Shape w{1, dim}, w_plus{1, generator.config().latents(), dim};
    if (latent.shape() != w && latent.shape() != w_plus) {
      fail(Errc::invalid_argument, "latent", "has shape ", input_.latent.shape(), ", expected ", w, " or ", w_plus);
    }
    latent_ = latent.clone();
  }
  stage_ = 0;
  phase_ = Phase::project;
  if (iterations_of(phase_, stage_) == 0) advance();
}

int Fit::iterations_of(Phase phase, int stage) const {
  const StageLength length = config_.stage_length(stage);
  switch (phase) {
    case Phase::project: return input_.latent ? 0 : config_.projection.w_iterations + config_.projection.w_plus_iterations;
    case Phase::prior: return config_.prior_iterations;
    case Phase::step1: return length.step1;
    case Phase::step2: return length.step2;
    case Phase::collect: return config_.collect;
    case Phase::step3: return length.step3;
    case Phase::done: break;
  }
  return 0;
}

void Fit::advance() {
  do {
    switch (phase_) {
      case Phase::project: phase_ = Phase::prior; break;
      case Phase::prior: phase_ = Phase::step1; break;
      case Phase::step1: phase_ = Phase::step2; break;
      case Phase::step2: phase_ = Phase::collect; break;
      case Phase::collect: phase_ = Phase::step3; break;
      case Phase::step3: phase_ = ++stage_ < config_.stages ? Phase::step1 : Phase::done; break;
      case Phase::done: return;
    }
  } while (phase_ != Phase::done && iterations_of(phase_, stage_) == 0);
  iteration_ = 0;
  adam_.reset();
  record_ = {};
  begun_ = false;
}

std::vector<Tensor> Fit::trained() const {
  switch (phase_) {
    case Phase::project: return {latent_};
    case Phase::prior: return networks_.netD.parameters().tensors();
    case Phase::step1: return step1_->parameters();
    case Phase::step2: return step2_->parameters();
    case Phase::step3: return step3_->parameters();
    case Phase::collect:
    case Phase::done: break;
  }
  return {};
}

// A fresh optimiser for each phase, and for each half of the projection.
void Fit::make_optimizer() {
  replay_.reset();
  if (phase_ == Phase::collect) return;
  AdamOptions options = adam_options(config_);
  if (phase_ == Phase::project) options = {config_.projection.lr, 0.9, 0.999, 1e-8, 0};
  adam_ = std::make_unique<Adam>(trained(), options);
}

void Fit::prepare() {
  target_.latent = latent_.detach();
  if (!target_.gan_image) prepare_target(method_, target_);
}

void Fit::begin() {
  replay_.reset();
  losses_.clear();
  step1_.reset();
  step2_.reset();
  step3_.reset();
  projection_features_.clear();
  if (phase_ == Phase::project) {
    NoGrad no_grad;
    projection_features_ = method_.lpips.features(target_.image * input_.mask);
    if (!latent_) latent_ = mean_latent_.clone();
    latent_.set_requires_grad();
  } else {
    prepare();
  }
  if (phase_ == Phase::step1) step1_ = std::make_unique<Step1>(method_, target_, config_.flip_in_step1(stage_), snapshot_.canon_mask);
  if (phase_ == Phase::step2 || phase_ == Phase::collect) {
    step2_ = std::make_unique<Step2>(method_, target_, snapshot_);
    view_input_ = Tensor::empty({config_.batch, 6});
    light_input_ = Tensor::empty({config_.batch, 3});
  }
  if (phase_ == Phase::collect && iteration_ == 0) {
    images_.clear();
    masks_.clear();
    order_.clear();
  }
  if (phase_ == Phase::step3) {
    step3_ = std::make_unique<Step3>(method_, target_, config_.flip_in_step3(stage_));
    const std::int64_t b = config_.batch_of_step3(), s = config_.size;
    image_input_ = Tensor::empty({b, s, s, 3});
    mask_input_ = Tensor::empty({b, s, s, 1});
  }
  if (!adam_) make_optimizer();
  begun_ = true;
}

void Fit::require_finite(double loss, int iteration) const {
  if (!std::isfinite(loss)) {
    fail(Errc::internal, "fit", "the loss is not finite in ", to_string(phase_), " of stage ", stage_ + 1, ", iteration ", iteration,
         ": is the object inside the picture?");
  }
}

void Fit::update(const Tensor& total) { update(total, grad({total}, adam_->parameters())); }

// On a device a loss is looked at later.
void Fit::update(const Tensor& total, const std::vector<Tensor>& gradients) {
  if (device_.type == DeviceType::cpu) require_finite(total.item(), iteration_ + 1);
  adam_->step(gradients);
}

void Fit::prepare_projection() {
  const ProjectionConfig& p = config_.projection;
  const bool w_plus = iteration_ >= p.w_iterations;
  if (w_plus && latent_.rank() == 2) {
    latent_ = per_layer(latent_.detach(), method_.generator.config().latents());
    latent_.set_requires_grad();
    make_optimizer();
  }
  adam_->set_lr(w_plus ? scheduled_lr(p, iteration_ - p.w_iterations, p.w_plus_iterations) : scheduled_lr(p, iteration_, p.w_iterations));
}

void Fit::project() {
  Tensor y = at_input_size(method_, target_, generate(method_, target_, latent_));
  Tensor lpips = mean(method_.lpips.distance(method_.lpips.features(y * input_.mask), projection_features_));
  Tensor mse = masked_mse(y, target_.image, input_.mask);
  Tensor total = lpips * config_.projection.lam_perc + mse;
  update(total);
  losses_.set({{"lpips", lpips}, {"mse", mse}, {"total", total}});
}

void Fit::fit_prior() {
  Tensor total = prior_loss(method_.renderer, networks_.netD, target_.image, ellipsoid_);
  update(total);
  losses_.set({{"total", total}});
}

void Fit::step1() {
  Step1::Result r = step1_->forward();
  update(r.losses.total);
  snapshot_ = r.snapshot;
  losses_.set(named(r.losses));
}

// On the CPU: the same numbers for every device.
void Fit::draw_views_and_lights() {
  const DefaultDevice host{Device{}};
  const std::int64_t b = config_.batch;
  const RandomLight& r = config_.rand_light;
  Tensor dx = views_.uniform({b, 1}, r.x0, r.x1), dy = views_.uniform({b, 1}, r.y0, r.y1), a = views_.uniform({b, 1}, r.a0, r.a1);
  const MultivariateNormal& prior = config_.prior.view;
  const auto factor = prior.factor();
  const Tensor z = views_.normal({b, 6}, 0, 1, DType::f64);
  std::vector<float> views(static_cast<std::size_t>(b * 6));
  for (std::size_t i = 0; i < static_cast<std::size_t>(b); ++i) {
    for (std::size_t row = 0; row < 6; ++row) {
      double v = prior.mean[row];
      for (std::size_t k = 0; k <= row; ++k) v += factor[row * 6 + k] * z.data<double>()[i * 6 + k];
      views[i * 6 + row] = static_cast<float>(v);
    }
  }
  copy_into(view_input_, Tensor::from(views, {b, 6}));
  copy_into(light_input_, concat({dx, dy, a}, 1));
}

void Fit::step2() {
  Update u = step2_->update(view_input_, light_input_, plan_.step2);
  update(u.losses.total, u.gradients);
  losses_.set(named(u.losses));
}

void Fit::collect_batch() {
  NoGrad no_grad;
  draw_views_and_lights();
  Step2::Pseudo pseudo = step2_->render(view_input_, light_input_);
  std::vector<Tensor> parts;
  for (std::int64_t begin = 0; begin < config_.batch; begin += plan_.step2) {
    const std::int64_t end = std::min<std::int64_t>(begin + plan_.step2, config_.batch);
    parts.push_back(step2_->project(slice(pseudo.image, 0, begin, end)).image);
  }
  images_.push_back(concat(parts, 0));
  masks_.push_back(pseudo.mask);
}

// The index advances before use, so the very first batch is skipped; where the samples run out it starts again in a new order.
void Fit::choose_batch() {
  const std::int64_t collected = config_.batch, b = config_.batch_of_step3(), count = collected * static_cast<std::int64_t>(images_.size());
  if (order_.empty()) {
    order_.resize(static_cast<std::size_t>(count));
    std::iota(order_.begin(), order_.end(), 0);
  }
  sample_index_ += b;
  if (sample_index_ + b >= count) {
    sample_index_ = 0;
    const auto shuffle = shuffles_.permutation(count);
    std::vector<std::int64_t> order(order_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = order_[static_cast<std::size_t>(shuffle[i])];
    order_ = std::move(order);
  }
  for (std::int64_t i = 0; i < b; ++i) {
    const std::int64_t k = order_[static_cast<std::size_t>(sample_index_ + i)];
    const auto batch = static_cast<std::size_t>(k / collected);
    Tensor image = picture(image_input_, i), mask = picture(mask_input_, i);
    copy_into(image, picture(images_[batch], k % collected));
    copy_into(mask, picture(masks_[batch], k % collected));
  }
}

void Fit::step3() {
  Step3::PartedUpdate u = step3_->update(image_input_, mask_input_, plan_.step3);
  update(u.batch.total, u.gradients);
  snapshot_.canon_mask = u.canon_mask;
  LossTensors losses = named(u.batch);
  for (const auto& input : named(u.input, "input_")) losses.push_back(input);
  losses_.set(losses);
}

void Fit::work() {
  switch (phase_) {
    case Phase::project: return project();
    case Phase::prior: return fit_prior();
    case Phase::step1: return step1();
    case Phase::step2: return step2();
    case Phase::step3: return step3();
    case Phase::collect:
    case Phase::done: break;
  }
}

// What differs from the last iteration is copied to where the work reads it; then the work is done again.
void Fit::iterate() {
  if (phase_ == Phase::collect) return collect_batch();
  if (phase_ == Phase::project) prepare_projection();
  if (phase_ == Phase::step2) draw_views_and_lights();
  if (phase_ == Phase::step3) choose_batch();
  if (!replay_) replay_ = std::make_unique<Replay>(device_, to_string(phase_), [this] { work(); });
  replay_->run();
  losses_.push(iteration_ + 1);
}

void Fit::look() {
  for (auto& [iteration, losses] : losses_.take()) {
    for (const auto& [name, value] : losses)
      if (name == "total") require_finite(value, iteration);
    if (iteration == 1) record_.first = losses;
    record_.last = losses;
  }
}

void Fit::finish() {
  replay_.reset();
  record_.phase = phase_;
  record_.stage = stage_;
  record_.iterations = iteration_;
  if (phase_ == Phase::project) {
    projected_ = true;
    latent_ = latent_.detach();
  } else if (phase_ != Phase::collect) {
    record_.measures = measures();
  }
  history_.push_back(record_);
  advance();
}

FitResult Fit::run() {
  const DefaultDevice guard(device_);
  auto last_save = Clock::now();
  auto maybe_save = [&](bool now) {
    if (options_.state_path.empty() || (!now && since(last_save) < options_.save_interval)) return;
    look();
    save(options_.state_path);
    last_save = Clock::now();
  };
  while (phase_ != Phase::done) {
    if (options_.cancelled && options_.cancelled()) {
      maybe_save(true);
      fail(Errc::cancelled, "fit", "stopped in ", to_string(phase_), " of stage ", stage_ + 1, " after ", iteration_, " iterations");
    }
    const auto start = Clock::now();
    if (!begun_) begin();
    const Phase phase = phase_;
    const int stage = stage_, iterations = iterations_of(phase_, stage_);
    iterate();
    ++iteration_;
    if (iteration_ == 1 || iteration_ == iterations || losses_.full()) look();
    const double seconds = since(start);
    record_.seconds += seconds;
    seconds_ += seconds;
    auto& timing = timing_[phase];
    timing.first += seconds;
    ++timing.second;
    const NamedLosses losses = record_.last;
    const int done = iteration_;
    if (iteration_ == iterations) finish();
    if (options_.progress) options_.progress({phase, stage, config_.stages, done, iterations, &losses, seconds_, seconds_left()});
    maybe_save(phase_ != phase);
  }
  prepare();
  return result();
}

double Fit::seconds_left() const {
  // Cost of one step-1 iteration as the phases seen so far suggest it.
  double spent = 0, units = 0;
  for (const auto& [phase, t] : timing_) {
    spent += t.first;
    units += relative_cost(phase) * t.second;
  }
  const double unit = units > 0 ? spent / units : 0;
  auto cost = [&](Phase phase) {
    auto seen = timing_.find(phase);
    return seen != timing_.end() && seen->second.second >= 3 ? seen->second.first / seen->second.second : relative_cost(phase) * unit;
  };
  if (phase_ == Phase::done) return 0;
  double left = (iterations_of(phase_, stage_) - iteration_) * cost(phase_);
  const Phase phases[] = {Phase::prior, Phase::step1, Phase::step2, Phase::collect, Phase::step3};
  for (int stage = stage_; stage < config_.stages; ++stage) {
    for (Phase phase : phases) {
      const bool past = stage == stage_ && phase <= phase_;
      if (!past && (phase != Phase::prior || stage == 0)) left += iterations_of(phase, stage) * cost(phase);
    }
  }
  return left;
}

ProjectionQuality Fit::projection_quality() const {
  NoGrad no_grad;
  const Tensor& y = target_.gan_image;
  const Lpips& lpips = method_.lpips;
  return {mean(lpips.distance(y * input_.mask, target_.image * input_.mask)).item(), masked_mse(y, target_.image, input_.mask).item(),
          mean(lpips.distance(y, target_.image)).item(), mean(square(y - target_.image)).item()};
}

std::optional<Measures> Fit::measures() const {
  if (!input_.truth) return std::nullopt;
  NoGrad no_grad;
  const Tensor view = view_of(method_, networks_.netV(target_.image));
  const Warp seen = warp(method_.renderer, predict_depth(method_, target_.image), view);
  return measure_all(seen.depth, seen.valid, input_.truth, input_.mask, config_);
}

FitResult moved(const FitResult& result, Device device) {
  FitResult out = result;
  for (Tensor* t : {&out.canonical.depth, &out.canonical.normal, &out.canonical.albedo, &out.texture, &out.view, &out.light, &out.depth, &out.normal,
                    &out.valid, &out.recon, &out.canonical_mask, &out.latent})
    if (*t) *t = t->detach().to(device);
  return out;
}

FitResult Fit::result() const {
  NoGrad no_grad;
  Step1 step(method_, target_, false, {});
  Step1::Result r = step.forward();
  const Rendering& seen = r.copies[0];
  FitResult out;
  out.canonical = r.canonical;
  out.texture = seen.texture;
  out.view = step.view();
  out.light = step.light();
  out.depth = seen.warp.depth;
  out.normal = method_.renderer.normals(seen.warp.depth);
  out.valid = seen.valid;
  out.recon = seen.recon;
  out.canonical_mask = canonical_mask(method_, target_, r.canonical.depth, step.view());
  out.latent = target_.latent;
  out.projected = projected_;
  out.projection = projection_quality();
  for (const auto& [name, value] : named(r.losses))
    if (value) out.losses.emplace_back(name, value.item());
  out.measures = measures();
  out.history = history_;
  return out;
}

}  // namespace g2s
