#include "models/gan2shape/fit.h"

#include <chrono>

#include "engine/context.h"
#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "models/gan2shape/losses.h"
#include "models/gan2shape/phases.h"
#include "models/gan2shape/prior.h"

namespace g2s {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

FitIdentity full_identity(const Config& config, const MemoryPlan& plan, const FitOptions& options) {
  FitIdentity out = options.identity;
  out["settings"] = to_json(config).dump();
  out["seed"] = std::to_string(options.seed);
  if (plan.in_parts(config)) out["--memory-limit"] = plan.parts();
  return out;
}

void require_input(const FitInput& input, const Config& config) {
  auto require = [s = std::int64_t{config.size}](const Tensor& t, const char* name, std::int64_t channels) {
    check(t.shape() == Shape{1, s, s, channels} && t.dtype() == DType::f32, "fit", name, " must be f32 ", Shape{1, s, s, channels}, ", is ",
          describe(t));
  };
  require(input.image, "image", 3);
  require(input.mask, "mask", 1);
  if (input.landmarks) check(input.landmarks.shape() == Shape{static_cast<std::int64_t>(face_points), 2}, "fit", "landmarks must be [468,2], are ", describe(input.landmarks));
  if (input.wide_mask) require(input.wide_mask, "wide mask", 1);
  if (input.truth) require(input.truth, "truth", 1);
  check(config.crop == 0 || input.original_size >= config.crop, "fit", "a crop of ", config.crop, " pixels needs the original picture's size");
  ellipsoid_depth(input.mask, config);  // throws now rather than in the prior
}

// [1,512] or [1,L,512], a copy.
Tensor given_latent(const Tensor& given, const Generator& generator) {
  Tensor latent = given.to(DType::f32);
  if (latent.rank() == 1) latent = latent.reshape({1, latent.dim(0)});
  const Shape w{1, generator.style_dim()}, w_plus{1, generator.latents(), generator.style_dim()};
  if (latent.shape() != w && latent.shape() != w_plus) {
    fail(Errc::invalid_argument, "latent", "has shape ", given.shape(), ", expected ", w, " or ", w_plus);
  }
  return latent.clone();
}

Target target_of(const FitInput& input, const Config& config, const Generator& generator, const PoseDirections* directions,
                 std::uint64_t seed) {
  const Device device = default_device();
  Target out;
  out.image = input.image.to(device);
  out.mask = (input.wide_mask ? input.wide_mask : input.mask).to(device);
  out.original_size = input.original_size;
  Random samples(seed, "mean_latent");
  if (config.truncation < 1 || !input.latent) out.mean_latent = generator.mean_latent(samples, config.projection.mean_samples);
  if (input.latent) out.latent = given_latent(input.latent.to(device), generator);
  out.mask_is_hull = input.wide_mask.defined();
  if (input.landmarks) out.landmarks = input.landmarks.to(Device{});
  if (directions) out.rotations = out.drawn_rotations = input.pose ? rotations_from_pose(input.pose.to(device), *directions, config.renderer()) : Tensor::zeros({1, 2});
  return out;
}

// Its output becomes 0 everywhere.
void clear_last_layer(LayerNet& net) {
  const std::vector<Parameter>& all = net.parameters().all();
  std::size_t last = all.size();
  while (last > 0 && net.roles()[last - 1] != ParameterRole::conv) --last;
  for (std::size_t i = last - 1; i < all.size(); ++i) {
    Tensor value = all[i].value;
    copy_into(value, Tensor::zeros(value.shape(), value.dtype()));
  }
}

DiscriminatorConfig discriminator_config(const StyleGan2Discriminator* discriminator) {
  return discriminator ? discriminator->config() : DiscriminatorConfig{};
}

}  // namespace

Fit::Fit(const Config& config, const Generator& generator, const StyleGan2Discriminator* discriminator, const Lpips& lpips,
         const FitInput& input, FitOptions options)
    : device_(default_device()),
      config_(config),
      options_(std::move(options)),
      state_(config_, options_.seed),
      method_(config_, state_.networks, generator, discriminator, lpips, options_.directions, options_.faces),
      losses_(device_),
      last_save_(Clock::now()) {
  config_.validate();
  require_input(input, config_);
  memory_plan_ = plan_memory(config_, generator.memory(), discriminator_config(discriminator), options_.memory_limit, device_.type);
  identity_ = full_identity(config_, memory_plan_, options_);
  if (input.truth) truth_ = input.truth.to(device_);
  object_ = input.mask.to(device_);
  if (options_.depth_prior) state_.networks.netD.load(*options_.depth_prior, "netD.");
  // Shape and view are what the prior says, until the networks learn better.
  if (options_.directions) {
    clear_last_layer(state_.networks.netD);
    clear_last_layer(state_.networks.netV);
  }
  state_.networks.set_trainable();
  state_.target = target_of(input, config_, generator, options_.directions, options_.seed);
  state_.phase = input.latent ? Phase::prior : Phase::project;
  if (iterations() == 0) advance(config_, state_.phase, state_.stage);
}

Fit::~Fit() = default;

ProgressState progress_state(const FitProgress& p) {
  ProgressState state;
  const bool staged = p.phase != Phase::project && p.phase != Phase::prior && p.phase != Phase::done;
  state.stage = staged && p.stages > 1 ? str("stage ", p.stage + 1, "/", p.stages, " ", to_string(p.phase)) : to_string(p.phase);
  state.step = p.iteration;
  state.steps = p.iterations;
  state.seconds = p.seconds;
  state.seconds_left = p.seconds_left;
  if (p.losses && !p.losses->empty()) {
    state.has_loss = true;
    state.loss = p.losses->back().second;
  }
  return state;
}

int Fit::iterations() const { return kind_of(state_.phase).iterations(config_, state_.stage); }

void Fit::begin() {
  losses_.clear();
  phase_ = kind_of(state_.phase).make({method_, memory_plan_, state_, losses_});
  phase_thread_ = &thread_resources();
}

// What a phase has captured is launched on the stream that it was captured on. Another thread's stream knows nothing of that one, so there the
// phase begins again where it is, as after resume().
void Fit::follow_thread() {
  if (device_.type == DeviceType::cpu || !phase_ || phase_thread_ == &thread_resources()) return;
  half_done_ = true;
  read_losses();
  const std::unique_ptr<FitPhase> before = std::move(phase_);
  begin();
  Adam *from = before->optimizer(), *to = phase_->optimizer();
  if (from && from->steps() > 0) {
    for (std::size_t i = 0; i < to->moments().size(); ++i) copy_into(to->moments()[i], from->moments()[i]);
    to->set_steps(from->steps());
  }
  half_done_ = false;
}

void Fit::iterate() {
  const auto start = Clock::now();
  if (!phase_) begin();
  phase_->iterate();
  losses_.record(++state_.iteration);
  if (state_.iteration == 1 || state_.iteration == iterations() || losses_.full()) read_losses();
  const double seconds = since(start);
  state_.record.seconds += seconds;
  state_.seconds += seconds;
  auto& timing = timing_[state_.phase];
  timing.first += seconds;
  ++timing.second;
}

void Fit::read_losses() {
  for (auto& [iteration, losses] : losses_.drain()) {
    for (const auto& [name, value] : losses)
      if (name == "total") require_finite(value, state_, iteration);
    if (iteration == 1) state_.record.first = losses;
    state_.record.last = losses;
  }
}

void Fit::finish() {
  phase_->finish();
  phase_.reset();
  PhaseRecord& record = state_.record;
  record.phase = state_.phase;
  record.stage = state_.stage;
  record.iterations = state_.iteration;
  if (kind_of(state_.phase).measured) record.measures = measures();
  state_.history.push_back(record);
  record = {};
  advance(config_, state_.phase, state_.stage);
  state_.iteration = 0;
}

bool Fit::step(std::int64_t most) {
  const DefaultDevice guard(device_);
  require_whole();
  follow_thread();
  for (std::int64_t left = most; state_.phase != Phase::done && left != 0; --left) {
    if (Context::current().cancelled()) {
      save_if_due(true);
      fail(Errc::cancelled, "fit", "stopped in ", position());
    }
    half_done_ = true;
    iterate();
    const NamedLosses losses = state_.record.last;
    FitProgress now = progress();
    now.losses = &losses;
    const bool last = now.iteration == now.iterations;
    if (last) finish();
    half_done_ = false;
    now.seconds_left = seconds_left();
    if (options_.progress) options_.progress(now);
    save_if_due(last);
  }
  return state_.phase == Phase::done;
}

FitResult Fit::run() {
  step(-1);
  return result();
}

FitProgress Fit::progress() const {
  const bool done = state_.phase == Phase::done;
  return {state_.phase, state_.stage, config_.stages, state_.iteration, done ? 0 : iterations(), &state_.record.last, state_.seconds, seconds_left()};
}

void Fit::save_if_due(bool now) {
  if (options_.state_path.empty() || (!now && since(last_save_) < options_.save_interval)) return;
  read_losses();
  save(options_.state_path);
  last_save_ = Clock::now();
}

// A state in the middle of an iteration is that of no fit.
void Fit::require_whole() const {
  if (half_done_) fail(Errc::invalid_argument, "fit", "an iteration failed in ", position(), "; it goes on from a saved state alone");
}

std::string Fit::position() const {
  return str(to_string(state_.phase), " of stage ", state_.stage + 1, " after ", state_.iteration, " iterations");
}

// From the phases seen so far: what an iteration of each takes, and what one of step 1 takes as they suggest it.
double Fit::seconds_left() const {
  if (state_.phase == Phase::done) return 0;
  if (timing_.empty()) return -1;
  double spent = 0, units = 0;
  for (const auto& [phase, t] : timing_) {
    spent += t.first;
    units += kind_of(phase).cost * t.second;
  }
  const double unit = units > 0 ? spent / units : 0;
  double left = 0;
  int stage = state_.stage;
  for (Phase phase = state_.phase; phase != Phase::done; advance(config_, phase, stage)) {
    const PhaseKind& kind = kind_of(phase);
    const auto seen = timing_.find(phase);
    const double cost = seen != timing_.end() && seen->second.second >= 3 ? seen->second.first / seen->second.second : kind.cost * unit;
    const bool running = phase == state_.phase && stage == state_.stage;
    left += (kind.iterations(config_, stage) - (running ? state_.iteration : 0)) * cost;
  }
  return left;
}

void Fit::save(const std::string& path) const {
  require_whole();
  save_state(path, state_, phase_ ? phase_->optimizer() : nullptr, identity_);
}

void Fit::resume(const std::string& path) {
  const DefaultDevice guard(device_);
  const SavedState saved(path);
  saved.require(identity_);
  phase_.reset();
  half_done_ = true;
  saved.restore(state_);
  if (state_.phase != Phase::done) begin();
  if (Adam* optimizer = phase_ ? phase_->optimizer() : nullptr) saved.restore(*optimizer);
  half_done_ = false;
}

void require_resumable(const std::string& path, const Config& config, const Generator& generator,
                       const StyleGan2Discriminator* discriminator, const FitOptions& options) {
  const MemoryPlan plan = plan_memory(config, generator.memory(), discriminator_config(discriminator), options.memory_limit, default_device().type);
  SavedState(path).require(full_identity(config, plan, options));
}

ProjectionQuality Fit::projection_quality() const {
  NoGrad no_grad;
  const Target& t = state_.target;
  const Lpips& lpips = method_.lpips;
  return {mean(lpips.distance(t.gan_image * object_, t.image * object_)).item(), masked_mse(t.gan_image, t.image, object_).item(),
          mean(lpips.distance(t.gan_image, t.image)).item(), mean(square(t.gan_image - t.image)).item()};
}

std::optional<Measures> Fit::measures() const {
  if (!truth_) return std::nullopt;
  NoGrad no_grad;
  const Target& t = state_.target;
  const Tensor depth = predict_depth(method_, t);
  const Tensor view = view_of(method_, state_.networks.netV(t.image), t.rotations, depth);
  const Warp seen = warp(method_.renderer, depth, view);
  return measure_all(seen.depth, seen.valid, truth_, object_, config_);
}

FitResult Fit::result() {
  if (state_.phase != Phase::done) fail(Errc::invalid_argument, "fit", "is not finished: it is in ", position());
  require_whole();
  const DefaultDevice guard(device_);
  NoGrad no_grad;
  prepare_target(method_, state_.target);
  const Step1 step(method_, state_.target, false, {});
  const Step1::Result r = step.forward();
  const Rendering& seen = r.copies[0];
  FitResult out;
  Target of_object = state_.target;
  of_object.mask = object_;
  of_object.canonical_mask = state_.target.canonical_object;
  out.target = of_object.to(Device{});
  out.canonical = r.canonical.to(Device{});
  out.texture = seen.texture.to(Device{});
  out.view = step.view().to(Device{});
  out.light = step.light().to(Device{});
  out.depth = seen.warp.depth.to(Device{});
  out.normal = method_.renderer.normals(seen.warp.depth).to(Device{});
  out.valid = seen.valid.to(Device{});
  out.recon = seen.recon.to(Device{});
  out.canonical_mask = canonical_mask(method_, of_object, r.canonical.depth, step.view()).to(Device{});
  out.projected = state_.projected;
  out.projection = projection_quality();
  for (const auto& [name, value] : named(r.losses)) out.losses.emplace_back(name, value.item());
  out.measures = measures();
  out.history = state_.history;
  return out;
}

}  // namespace g2s
