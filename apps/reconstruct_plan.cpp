#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "apps/output.h"
#include "apps/reconstruct.h"
#include "engine/allocator.h"
#include "engine/files.h"
#include "engine/hash.h"
#include "engine/precision.h"
#include "engine/context.h"
#include "models/gan2shape/latents.h"
#include "models/u2netp.h"

namespace g2s::app {
namespace {

namespace fs = std::filesystem;

constexpr int discriminator_blocks = 4;  // that step 2 compares

// The file that an option names for a picture: itself, or in a folder the first STEM + ending that exists.
std::string file_for(const char* option, const std::string& value, const std::string& stem, std::initializer_list<const char*> endings,
                     std::size_t pictures) {
  if (value.empty()) return {};
  if (!fs::exists(value)) fail(Errc::io, value, "does not exist (", option, ")");
  if (!fs::is_directory(value)) {
    if (pictures > 1) {
      fail(Errc::invalid_argument, option, value, " is one file for ", pictures, " pictures; give a folder with ", stem, *endings.begin(),
           " and so on");
    }
    return value;
  }
  for (const char* ending : endings) {
    const std::string path = (fs::path(value) / (stem + ending)).string();
    if (fs::exists(path)) return path;
  }
  fail(Errc::io, (fs::path(value) / (stem + *endings.begin())).string(), "does not exist (", option, ")");
}

std::vector<Job> make_jobs(const ReconstructOptions& o) {
  std::vector<Job> jobs;
  std::map<std::string, std::string> stems;
  for (const std::string& image : o.images) {
    if (!fs::exists(image)) fail(Errc::io, image, "does not exist");
    if (fs::is_directory(image)) fail(Errc::io, image, "is a folder, not a picture");
    Job job;
    job.files.image = image;
    job.stem = fs::path(image).stem().string();
    auto [other, fresh] = stems.emplace(job.stem, image);
    if (!fresh) fail(Errc::invalid_argument, image, "would write to the same folder ", job.stem, " as ", other->second);
    job.folder = (fs::path(o.out) / job.stem).string();
    job.state_path = job.folder + ".state.safetensors";
    job.files.mask = file_for("--mask", o.mask, job.stem, {".png"}, o.images.size());
    job.files.truth = file_for("--truth", o.truth, job.stem, {"_depth.png"}, o.images.size());
    jobs.push_back(std::move(job));
  }
  return jobs;
}

void check_options(const ReconstructOptions& o) {
  if (o.resume && o.force) fail(Errc::invalid_argument, "--resume", "and --force exclude each other");
  if (o.progress != "auto" && o.progress != "lines" && o.progress != "none") {
    fail(Errc::invalid_argument, "--progress", "'", o.progress, "' is none of auto, lines, none");
  }
  if (!(o.scale > 0 && o.scale <= 10)) fail(Errc::invalid_argument, "--scale", o.scale, " is not between 0 and 10");
  if (o.jobs < 1 || o.jobs > 64) fail(Errc::invalid_argument, "--jobs", o.jobs, " is not between 1 and 64");
  if (!(o.save_every > 0)) fail(Errc::invalid_argument, "--save-every", o.save_every, " is not a positive number of seconds");
}

void load_weights(const ReconstructOptions& o, Plan& plan) {
  const DefaultDevice guard(plan.device);
  plan.weights = find_weights(o.weights, o.preset, {.generator = true, .discriminator = true, .lpips = true, .depth_prior = plan.quality != Quality::paper});
  plan.generator = std::make_unique<StyleGan2Generator>(StyleGan2Generator::load(SafetensorsFile(plan.weights.generator)));
  plan.discriminator = std::make_unique<StyleGan2Discriminator>(StyleGan2Discriminator::load(SafetensorsFile(plan.weights.discriminator)));
  plan.lpips = std::make_unique<Lpips>(SafetensorsFile(plan.weights.lpips));
  if (plan.discriminator->config().blocks() < discriminator_blocks) {
    fail(Errc::format, plan.weights.discriminator, "has ", plan.discriminator->config().blocks(), " residual blocks, the method needs ",
         discriminator_blocks);
  }
  if (!plan.weights.depth_prior.empty()) {
    plan.depth_prior = std::make_unique<SafetensorsFile>(plan.weights.depth_prior);
    const DefaultDevice host{Device{}};
    Networks(plan.config).netD.load(*plan.depth_prior, "netD.");  // throws where a tensor does not fit
  }
  plan.config.gan_size = plan.generator->config().size;  // the method takes any size of pictures from the generator
}

void read_job_latents(const ReconstructOptions& o, Plan& plan) {
  if (o.latent.empty()) return;
  const GeneratorConfig& generator = plan.generator->config();
  if (!fs::exists(o.latent)) fail(Errc::io, o.latent, "does not exist (--latent)");
  if (fs::is_directory(o.latent)) {
    for (Job& job : plan.jobs) {
      const std::string path = file_for("--latent", o.latent, job.stem, {".npy", ".safetensors"}, plan.jobs.size());
      Tensor latents = read_latents(path, generator);
      if (latent_count(latents) != 1) fail(Errc::invalid_argument, path, "holds ", latent_count(latents), " latents for one picture");
      job.latent = latent_at(latents, 0);
    }
    return;
  }
  Tensor latents = read_latents(o.latent, generator);
  if (latent_count(latents) != static_cast<std::int64_t>(plan.jobs.size())) {
    fail(Errc::invalid_argument, o.latent, "holds ", latent_count(latents), latent_count(latents) == 1 ? " latent" : " latents", " for ",
         plan.jobs.size(), plan.jobs.size() == 1 ? " picture" : " pictures");
  }
  for (std::size_t i = 0; i < plan.jobs.size(); ++i) plan.jobs[i].latent = latent_at(latents, static_cast<std::int64_t>(i));
}

// Everything that a result depends on beside settings and seed. The keys complete "it was made with another ...".
void identify(const ReconstructOptions& o, Plan& plan) {
  std::map<std::string, std::string> weights = {{"generator", sha256_file(plan.weights.generator)},
                                                {"discriminator", sha256_file(plan.weights.discriminator)},
                                                {"LPIPS weights", sha256_file(plan.weights.lpips)}};
  const std::string u2netp = o.mask.empty() ? find_weights(o.weights, o.preset, {.u2netp = true}).u2netp : "";
  weights["depth prior"] = plan.depth_prior ? sha256_file(plan.weights.depth_prior) : "";
  weights["mask network"] = u2netp.empty() ? "" : sha256_file(u2netp);
  for (Job& job : plan.jobs) {
    job.identity = weights;
    job.identity["picture"] = sha256_file(job.files.image);
    job.identity["mask"] = job.files.mask.empty() ? "" : sha256_file(job.files.mask);
    job.identity["latent"] = job.latent ? sha256(job.latent) : "";
    job.identity["--crop"] = o.crop;
    job.identity["--precision"] = o.precision;
    if (plan.device.type != DeviceType::cpu) job.identity["--device"] = str(plan.device);  // rounds otherwise
  }
}

void prepare_jobs(const ReconstructOptions& o, Plan& plan) {
  std::unique_ptr<U2NetP> network;
  auto find_mask = [&](const Tensor& picture) {
    const WithPrecision exact(Precision::f32);  // once a picture: every precision shall fit the same object
    if (!network) network = std::make_unique<U2NetP>(SafetensorsFile(find_weights(o.weights, o.preset, {.u2netp = true}).u2netp));
    return network->mask(picture);
  };
  for (Job& job : plan.jobs) {
    check_cancelled("reconstruct");
    if (is_finished(job.folder) && !o.force) {
      job.kept = true;
      if (o.resume) require_same_result(plan, o, job);
      continue;
    }
    if (fs::exists(job.folder) && !fs::is_directory(job.folder)) fail(Errc::io, job.folder, "is not a folder");
    job.input = prepare_input(load_input(job.files), plan.config, plan.crop, find_mask);
    if (!o.resume || !fs::exists(job.state_path)) continue;
    job.resumed = true;
    const DefaultDevice guard(plan.device);
    require_resumable(job.state_path, plan.config, *plan.generator, *plan.discriminator, fit_options(o, plan, job));
  }
}

// For trying the program out: the schedule with every count multiplied, at least one iteration of each.
void scale_schedule(Config& config, double factor) {
  if (factor == 1) return;
  auto scale = [&](int& count) { count = std::max(1, static_cast<int>(std::lround(count * factor))); };
  for (StageLength* length : {&config.first_stage, &config.later_stages}) {
    scale(length->step1);
    scale(length->step2);
    scale(length->step3);
  }
  scale(config.prior_iterations);
  scale(config.projection.w_iterations);
  scale(config.projection.w_plus_iterations);
  scale(config.collect);
  config.collect = std::max(2, config.collect);  // step 3 skips the first batch
}

}  // namespace

FitInput fit_input(const Job& job) { return {job.input.image, job.input.mask, job.input.original_size, job.latent, job.input.truth}; }

namespace {
std::size_t memory_limit(const ReconstructOptions& o) {
  return o.memory_limit.empty() ? 0 : memory_size_from(o.memory_limit, "--memory-limit");
}
}  // namespace

ContextOptions reconstruct_context(const ReconstructOptions& o) {
  ContextOptions options = context_options(o.machine, DeviceSupport::any, o.precision);
  const std::size_t all = memory_limit(o) * static_cast<std::size_t>(std::max(1, o.jobs));
  options.memory_limit = options.device.type == DeviceType::cpu && all > program_bytes ? all - program_bytes : all;
  return options;
}

FitOptions fit_options(const ReconstructOptions& o, const Plan& plan, const Job& job) {
  FitOptions options;
  options.seed = o.seed;
  options.cancelled = [&context = Context::current()] { return context.cancelled(); };
  options.state_path = job.state_path;
  options.save_interval = o.save_every;
  options.identity = job.identity;
  options.memory_limit = memory_limit(o);
  options.depth_prior = plan.depth_prior.get();
  return options;
}

Plan make_plan(const ReconstructOptions& o) {
  Plan plan;
  plan.device = Context::current().options().device;
  check_options(o);
  plan.config = preset(o.preset);
  plan.quality = quality_from_name(o.quality);
  plan.crop = crop_mode_from_name(o.crop);
  plan.jobs = make_jobs(o);
  require_output_folder(o.out);
  load_weights(o, plan);
  apply_quality(plan.config, plan.quality, plan.depth_prior != nullptr);
  scale_schedule(plan.config, o.scale);
  read_job_latents(o, plan);
  if (const std::size_t limit = memory_limit(o))
    plan_memory(plan.config, plan.generator->config(), plan.discriminator->config(), limit, plan.device.type);  // throws before any work starts
  identify(o, plan);
  prepare_jobs(o, plan);
  return plan;
}

}  // namespace g2s::app
