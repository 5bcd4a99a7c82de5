#include <algorithm>
#include <filesystem>
#include <map>

#include "apps/memory_size.h"
#include "apps/reconstruct.h"
#include "engine/context.h"
#include "engine/error.h"
#include "engine/files.h"
#include "engine/image.h"
#include "models/gan2shape/preset_choice.h"
#include "models/gan2shape/result.h"
#include "weights_converter/latents.h"

namespace g2s::app {
namespace {

namespace fs = std::filesystem;

// The file that an option names for an image: itself, or in a folder the first STEM + ending that exists.
std::string file_for(const char* option, const std::string& value, const std::string& stem, std::initializer_list<const char*> endings,
                     std::size_t images) {
  if (value.empty()) return {};
  if (!fs::exists(value)) fail(Errc::io, value, "does not exist (", option, ")");
  if (!fs::is_directory(value)) {
    if (images > 1) {
      fail(Errc::invalid_argument, option, value, " is one file for ", images, " pictures; give a folder with ", stem, *endings.begin(),
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
    job.files.mask = file_for("--mask", o.mask, job.stem, {".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".jpg"}, o.images.size());
    job.files.truth = file_for("--truth", o.truth, job.stem, {"_depth.png"}, o.images.size());
    jobs.push_back(std::move(job));
  }
  return jobs;
}

void check_options(const ReconstructOptions& o) {
  if (o.resume && o.force) throw CLI::ValidationError("--resume", "and --force exclude each other");
}

convert::LatentSpace latent_space(const ReconstructSession& session) {
  const Generator& generator = *session.reconstructor.generator;
  return {generator.style_dim(), generator.latents()};
}

// One for each picture: by the names that the file stores them under, else in its order.
void give_latents(const std::string& path, const convert::StoredLatents& stored, std::vector<Job>& jobs) {
  auto known = [&](const Job& job) { return stored.of(job.stem) >= 0; };
  const bool by_name = std::all_of(jobs.begin(), jobs.end(), known);
  const std::int64_t count = stored.count();
  if (!by_name && count != static_cast<std::int64_t>(jobs.size())) {
    const auto missing = std::find_if_not(jobs.begin(), jobs.end(), known);
    fail(Errc::invalid_argument, path, "holds ", count, count == 1 ? " latent" : " latents", " for ", jobs.size(),
         jobs.size() == 1 ? " picture" : " pictures", stored.pictures.empty() ? "" : ", and none under the name " + missing->stem);
  }
  for (std::size_t i = 0; i < jobs.size(); ++i)
    jobs[i].latent = stored.at(by_name ? stored.of(jobs[i].stem) : static_cast<std::int64_t>(i));
}

void read_job_latents(const ReconstructOptions& o, ReconstructSession& session) {
  if (o.latent.empty()) return;
  if (!fs::exists(o.latent)) fail(Errc::io, o.latent, "does not exist (--latent)");
  if (fs::is_directory(o.latent)) {
    for (Job& job : session.jobs) {
      const std::string path = file_for("--latent", o.latent, job.stem, {".npy", ".safetensors", ".pt", ".npz"}, session.jobs.size());
      const convert::StoredLatents stored = convert::read_latents(path, latent_space(session), 1);
      if (stored.count() != 1) fail(Errc::invalid_argument, path, "holds ", stored.count(), " latents for one picture");
      job.latent = stored.at(0);
    }
    return;
  }
  const auto wanted = static_cast<std::int64_t>(session.jobs.size());
  give_latents(o.latent, convert::read_latents(o.latent, latent_space(session), wanted), session.jobs);
}

// A finished result is kept, if it is the one that --resume asks for.
void keep_finished(const ReconstructOptions& o, const Reconstructor& reconstructor, Job& job) {
  job.kept = true;
  if (!o.resume) return;
  const std::string other = difference_of(read_result(job.folder), reconstructor, identity_of(reconstructor, job.files, job.latent));
  if (other.empty()) return;
  fail(Errc::invalid_argument, job.folder, "cannot be resumed: it is finished and was made with another ", other, "; --force replaces it");
}

// A job for each face that can be used, its results in STEM_faceN.
void expand_faces(const ReconstructOptions& o, ReconstructSession& session) {
  if (o.face != "all" || !session.reconstructor.faces) return;
  std::vector<Job> jobs;
  for (const Job& job : session.jobs) {
    const std::size_t before = jobs.size();
    for (const Face& face : (*session.reconstructor.faces)(read_image(job.files.image).rgb)) {
      if (face.state == FaceState::unfit) continue;
      Job one = job;
      one.files.face = std::to_string(face.number);
      one.stem += "_face" + one.files.face;
      one.folder += "_face" + one.files.face;
      one.state_path = one.folder + ".state.safetensors";
      jobs.push_back(std::move(one));
    }
    if (jobs.size() == before) fail(Errc::invalid_argument, job.files.image, "no face in it can be used");
  }
  session.jobs = std::move(jobs);
}

void prepare_jobs(const ReconstructOptions& o, ReconstructSession& session) {
  for (Job& job : session.jobs) {
    check_cancelled("reconstruct");
    if (is_finished(job.folder) && !o.force) {
      keep_finished(o, session.reconstructor, job);
      continue;
    }
    if (fs::exists(job.folder) && !fs::is_directory(job.folder)) fail(Errc::io, job.folder, "is not a folder");
    job.prepared = prepare_job(session.reconstructor, job.files, job.latent);
    job.resumed = o.resume && fs::exists(job.state_path);
    if (job.resumed) require_resumable(session.reconstructor, job.prepared, job.state_path);
  }
}

std::size_t memory_limit(const ReconstructOptions& o) { return o.memory_limit.empty() ? 0 : memory_size_from(o.memory_limit); }

}  // namespace

ContextOptions reconstruct_context(const ReconstructOptions& o) {
  ContextOptions options = context_options(o.machine, DeviceSupport::any, o.precision);
  const std::size_t all = memory_limit(o) * static_cast<std::size_t>(std::max(1, o.jobs));  // a fit's own is among the settings
  options.memory_limit = options.device.type == DeviceType::cpu && all > program_bytes ? all - program_bytes : all;
  return options;
}

ReconstructSession prepare_session(const ReconstructOptions& o) {
  check_options(o);
  PresetChoice choice{o.preset, o.weights, ""};
  if (o.preset == "auto") choice = choose_preset(o.images, weight_source(o.weights));
  const ReconstructionSettings settings = {.preset = choice.preset,
                                           .quality = quality_from_name(o.quality),
                                           .crop = crop_mode_from_name(o.crop),
                                           .seed = o.seed,
                                           .memory_limit = memory_limit(o),
                                           .scale = o.scale,
                                           .align = o.align,
                                           .face = o.face == "all" ? "largest" : o.face};
  std::vector<Job> jobs = make_jobs(o);
  require_writable_folder(o.out);
  ReconstructSession session{load_reconstructor(settings, weight_source(choice.weights)), std::move(jobs), choice.reason};
  expand_faces(o, session);
  read_job_latents(o, session);
  prepare_jobs(o, session);
  return session;
}

}  // namespace g2s::app
