#include <algorithm>
#include <filesystem>

#include "apps/memory_size.h"
#include "apps/pictures.h"
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

void require_folder_for_several(const char* option, const std::string& value, const std::string& example, const std::vector<Job>& jobs) {
  if (value.empty()) return;
  if (!fs::exists(value)) fail(Errc::io, value, "does not exist (", option, ")");
  if (jobs.size() > 1 && !fs::is_directory(value)) {
    fail(Errc::invalid_argument, option, value, " is one file for ", jobs.size(), " pictures; give a folder with ", jobs.front().stem, example,
         " and so on");
  }
}

// The file that an option names for an image: itself, or in a folder the first STEM + ending that exists.
std::string file_for(const char* option, const std::string& value, const std::string& stem, std::initializer_list<const char*> endings) {
  if (value.empty() || !fs::is_directory(value)) return value;
  for (const char* ending : endings) {
    const std::string path = (fs::path(value) / (stem + ending)).string();
    if (fs::exists(path)) return path;
  }
  fail(Errc::io, (fs::path(value) / (stem + *endings.begin())).string(), "does not exist (", option, ")");
}

// What goes wrong with one image keeps no other from being done.
template <class Work>
void each_job(std::vector<Job>& jobs, Work work) {
  for (Job& job : jobs) {
    check_cancelled("reconstruct");
    if (job.failure) continue;
    try {
      work(job);
    } catch (const Error& e) {
      if (e.code() == Errc::cancelled) throw;
      job.failure = std::current_exception();
    } catch (const std::exception&) {
      job.failure = std::current_exception();
    }
  }
}

void require_any(const std::vector<Job>& jobs) {
  if (std::all_of(jobs.begin(), jobs.end(), [](const Job& job) { return job.failure != nullptr; })) report_failures(jobs);
}

std::vector<Job> make_jobs(const ReconstructOptions& o) {
  std::vector<Job> jobs;
  for (const Picture& picture : list_pictures(o.images)) {
    Job job;
    job.files.image = picture.path;
    job.stem = picture.name;
    job.folder = (fs::path(o.out) / job.stem).string();
    job.state_path = job.folder + ".state.safetensors";
    jobs.push_back(std::move(job));
  }
  require_folder_for_several("--mask", o.mask, ".png", jobs);
  require_folder_for_several("--truth", o.truth, "_depth.png", jobs);
  each_job(jobs, [&](Job& job) {
    require_picture(job.files.image);
    job.files.mask = file_for("--mask", o.mask, job.stem, {".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".jpg"});
    job.files.truth = file_for("--truth", o.truth, job.stem, {"_depth.png"});
    load_input(job.files);  // what cannot be read is said now, not in hours
  });
  require_any(jobs);
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
    each_job(session.jobs, [&](Job& job) {
      const std::string path = file_for("--latent", o.latent, job.stem, {".npy", ".safetensors", ".pt", ".npz"});
      const convert::StoredLatents stored = convert::read_latents(path, latent_space(session), 1);
      if (stored.count() != 1) fail(Errc::invalid_argument, path, "holds ", stored.count(), " latents for one picture");
      job.latent = stored.at(0);
    });
    return;
  }
  const auto wanted = static_cast<std::int64_t>(session.jobs.size());
  give_latents(o.latent, convert::read_latents(o.latent, latent_space(session), wanted), session.jobs);
}

// A job for each face that can be used, its results in STEM_faceN.
void expand_faces(const ReconstructOptions& o, ReconstructSession& session) {
  if (o.face != "all" || !session.reconstructor.faces) return;
  std::vector<Job> jobs;
  each_job(session.jobs, [&](const Job& job) {
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
  });
  for (const Job& job : session.jobs)
    if (job.failure) jobs.push_back(job);
  session.jobs = std::move(jobs);
}

std::vector<std::string> readable(const std::vector<Job>& jobs) {
  std::vector<std::string> out;
  for (const Job& job : jobs)
    if (!job.failure) out.push_back(job.files.image);
  return out;
}

std::size_t memory_limit(const ReconstructOptions& o) { return o.memory_limit.empty() ? 0 : memory_size_from(o.memory_limit); }

}  // namespace

void decide(const ReconstructOptions& o, const Reconstructor& reconstructor, const Identity& identity, Job& job) {
  job.kept = job.resumed = false;
  require_result_or_nothing(job.folder);
  const bool finished = is_finished(job.folder), state = fs::exists(job.state_path);
  if (o.force) return;
  if (finished) {
    try {
      require_same_result(job.folder, reconstructor, identity);
      job.kept = true;
      return;
    } catch (const Error& e) {
      // A run that was to replace it may have been interrupted.
      if (!o.resume || !state) fail(e.code(), e.op(), e.message(), "; --force replaces it, another --out keeps both");
    }
  }
  if (!state) return;
  if (!o.resume) fail(Errc::invalid_argument, job.state_path, "is of a fit that did not finish: --resume goes on with it, --force starts anew");
  ReconstructionJob whole;
  whole.identity = identity;
  require_resumable(reconstructor, whole, job.state_path);
  job.resumed = true;
}

// The state that a fit left which was stopped between its result and the end.
void remove_state_of_finished(const Reconstructor& reconstructor, const Identity& identity, const Job& job) {
  ReconstructionJob finished;
  finished.identity = identity;
  try {
    require_resumable(reconstructor, finished, job.state_path);
  } catch (const Error&) {
    return;  // another fit's
  }
  std::error_code ignored;
  fs::remove(job.state_path, ignored);
}

ContextOptions reconstruct_context(const ReconstructOptions& o) {
  ContextOptions options = context_options(o.machine, DeviceSupport::any, o.precision);
  const std::size_t all = memory_limit(o) * static_cast<std::size_t>(std::max(1, o.jobs));  // a fit's own is among the settings
  options.memory_limit = options.device.type == DeviceType::cpu && all > program_bytes ? all - program_bytes : all;
  return options;
}

ReconstructSession prepare_session(const ReconstructOptions& o) {
  check_options(o);
  std::vector<Job> jobs = make_jobs(o);
  PresetChoice choice{o.preset, o.weights, ""};
  if (o.preset == "auto") choice = choose_preset(readable(jobs), weight_source(o.weights), o.size);
  if (o.preset == "ffhq" && o.weights.empty()) choice.weights = folder_of_faces(weight_source(""), o.size);
  const ReconstructionSettings settings = {.preset = choice.preset,
                                           .quality = quality_from_name(o.quality),
                                           .crop = crop_mode_from_name(o.crop),
                                           .seed = o.seed,
                                           .memory_limit = memory_limit(o),
                                           .size = o.size,
                                           .views = o.views,
                                           .scale = o.scale,
                                           .align = o.align,
                                           .face = o.face == "all" ? "largest" : o.face};
  require_writable_folder(o.out);
  ReconstructSession session{load_reconstructor(settings, weight_source(choice.weights)), std::move(jobs), choice.reason};
  expand_faces(o, session);
  read_job_latents(o, session);
  const Reconstructor& reconstructor = session.reconstructor;
  each_job(session.jobs, [&](Job& job) { decide(o, reconstructor, identity_of(reconstructor, job.files, job.latent), job); });
  require_any(session.jobs);
  return session;
}

}  // namespace g2s::app
