// The functions of the header about a reconstruction.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <set>

#include "c_api/arrays.h"
#include "c_api/call.h"
#include "c_api/context.h"
#include "c_api/fit_options.h"
#include "c_api/objects.h"
#include "engine/files.h"
#include "engine/image.h"
#include "engine/path_lock.h"
#include "models/gan2shape/export.h"
#include "models/gan2shape/result.h"

namespace g2s::capi {
namespace {

// What it is made with is named first, so that it goes last.
struct FitObject {
  using Handle = g2s_fit;
  static constexpr Kind kind = Kind::fit;

  std::shared_ptr<ContextObject> context;
  std::shared_ptr<const Reconstructor> reconstructor;
  ReconstructionJob job;
  bool force = false;
  std::unique_ptr<Fit> fit;
  std::unique_ptr<FitResults> results;  // of a finished fit, once they were asked for
  std::set<std::string> stages;         // that the caller was told: they stay
  std::atomic<bool> busy{false};

  FitResults& finished() {
    if (!results) results = std::make_unique<FitResults>(fit->result(), fit->method(), pixels_to_image(job.input.photo));
    return *results;
  }
};

// The only call on a fit while it lives.
class Turn {
 public:
  explicit Turn(g2s_fit handle) : object_(find<FitObject>(handle, "fit")) {
    if (object_->busy.exchange(true)) throw Busy("fit: another call works with it");
  }
  ~Turn() { object_->busy.store(false); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  const std::shared_ptr<FitObject>& object() const { return object_; }

 private:
  std::shared_ptr<FitObject> object_;
};

// One that works, in the fit's context.
class Work {
 public:
  Work(g2s_fit handle, const char* what) : turn_(handle), in_(turn_.object()->context, what) {}
  FitObject* operator->() const { return turn_.object().get(); }
  FitObject& object() const { return *turn_.object(); }

 private:
  Turn turn_;
  InContext in_;
};

std::string text(const char* argument, const char* value) {
  if (!value || !*value) fail(Errc::invalid_argument, argument, value ? "is empty" : "is null");
  return value;
}

Tensor as_pixels(const Array& picture) {
  if (picture.dtype() == DType::u8) return picture.read_as_it_is();
  const Tensor image = picture.read().to(Device{});
  const float* x = image.data<float>();
  const bool finite = std::all_of(x, x + image.numel(), [](float v) { return std::isfinite(v); });
  if (!finite) fail(Errc::invalid_argument, picture.argument(), "has values that are not finite");
  return image_to_pixels(image);
}

InputPixels read_input(const g2s_array* picture, const g2s_array* mask) {
  const Array given = Array::readable(picture, "picture", Content::image).with_batch();
  given.require(given.rank() == 4 && given.dim(0) == 1 && (given.dim(3) == 3 || given.dim(3) == 4), "[H,W,3] or [H,W,4]");
  if (given.dim(1) * given.dim(2) > max_image_pixels)
    fail(Errc::invalid_argument, "picture", "has more than ", max_image_pixels, " pixels");
  const Tensor pixels = as_pixels(given);
  InputPixels out{channels_u8(pixels, 0, 3), {}, {}};
  if (pixels.dim(3) == 4) out.alpha = channels_u8(pixels, 3, 1);
  if (!mask) return out;
  const Array object = Array::readable(mask, "mask", Content::mask).with_batch();
  object.require(object.rank() == 3 && object.dim(0) == 1, "[H,W]");
  out.mask = object.read().to(Device{}).reshape({1, object.dim(1), object.dim(2), 1});
  return out;
}

// Those of the last fit in this context if its settings were these.
std::shared_ptr<const Reconstructor> reconstructor_for(ContextObject& object, const FitRequest& request) {
  ReconstructionSettings settings = request.settings;
  settings.memory_limit = object.context().options().memory_limit;
  const WeightSource source{request.weights, default_asset_places(), object.named_assets()};
  const std::string name = str("fit ", settings.preset, " ", to_string(settings.quality), " ", to_string(settings.crop), " ", settings.seed,
                               " ", settings.align, " ", settings.face, " ", settings.size, " ", settings.views, " ", std::hexfloat, settings.scale, " ", request.weights);
  return object.shared<Reconstructor>(name, [&] { return std::make_shared<Reconstructor>(load_reconstructor(settings, source)); });
}

std::shared_ptr<FitObject> make_fit(std::shared_ptr<ContextObject> context, const InputPixels& pixels, const FitRequest& request) {
  auto out = std::make_shared<FitObject>();
  out->context = std::move(context);
  out->reconstructor = reconstructor_for(*out->context, request);
  out->job = prepare_job(*out->reconstructor, pixels, request.latent);
  out->force = request.force;
  for (const std::string& note : out->job.input.notes) Context::current().log("picture: " + note);
  FitOptions options;
  options.progress = [](const FitProgress& p) { Context::current().report(progress_state(p)); };
  out->fit = start_fit(*out->reconstructor, out->job, options);
  return out;
}

nlohmann::json known_beside() { return {{"program", {{"version", g2s_version()}}}}; }

// As the program does it: by one process at a time, and never over another fit's result unless that is wanted.
void write_folder(FitObject& object, const std::string& folder) {
  std::error_code ignored;  // the lock says it better
  std::filesystem::create_directories(std::filesystem::path(without_slash(folder)).parent_path(), ignored);
  const PathLock lock(folder);
  if (!object.force) require_same_result(folder, *object.reconstructor, object.job.identity);
  if (lock.held()) remove_leftovers(without_slash(folder));
  write_result(*object.reconstructor, object.job, object.finished(), folder, known_beside());
}

// As much of it as the caller's header knows.
void write_progress(const g2s_progress& from, g2s_progress& to) {
  constexpr std::size_t first_size = offsetof(g2s_progress, seconds_left) + sizeof from.seconds_left;
  const std::size_t size = to.struct_size;
  if (size < first_size) fail(Errc::invalid_argument, "progress", "its struct_size is ", size, ", not sizeof(g2s_progress)");
  std::memcpy(&to, &from, std::min(size, sizeof from));
  to.struct_size = static_cast<std::uint32_t>(std::min(size, sizeof from));
}

}  // namespace
}  // namespace g2s::capi

using namespace g2s;
using namespace g2s::capi;

g2s_status g2s_fit_new(g2s_context context, const g2s_array* picture, const g2s_array* mask, const char* options, g2s_fit* fit) {
  return call([&] {
    g2s_fit& out = output(fit, "fit");
    auto object = find<ContextObject>(context, "context");
    const InContext in(object, "fit");
    const InputPixels pixels = read_input(picture, mask);
    out = give(make_fit(std::move(object), pixels, read_fit_options(options)));
  });
}

g2s_status g2s_fit_free(g2s_fit fit) {
  return call([&] { free_handle<FitObject>(fit, "fit"); });
}

g2s_status g2s_fit_step(g2s_fit fit, int64_t iterations, int32_t* done) {
  return call([&] {
    if (done) *done = 0;
    const Work work(fit, "fit");
    const bool finished = work->fit->step(iterations);
    if (done) *done = finished;
  });
}

g2s_status g2s_fit_get_progress(g2s_fit fit, g2s_progress* progress) {
  return call([&] {
    g2s_progress& out = required(progress, "progress");
    const Turn turn(fit);
    FitObject& object = *turn.object();
    const ProgressState state = progress_state(object.fit->progress());
    g2s_progress now = to_c(state);
    now.stage = object.stages.insert(state.stage).first->c_str();
    write_progress(now, out);
  });
}

g2s_status g2s_fit_save(g2s_fit fit, const char* path) {
  return call([&] {
    const std::string file = text("path", path);
    const Work work(fit, "fit");
    work->fit->save(file);
  });
}

g2s_status g2s_fit_resume(g2s_fit fit, const char* path) {
  return call([&] {
    const std::string file = text("path", path);
    const Work work(fit, "fit");
    work->results.reset();
    work->fit->resume(file);
  });
}

g2s_status g2s_fit_get(g2s_fit fit, const char* name, g2s_tensor* tensor) {
  return call([&] {
    g2s_tensor& out = output(tensor, "tensor");
    const std::string wanted = text("name", name);
    const Work work(fit, "fit");
    out = give_tensor(work->finished().get(wanted));
  });
}

g2s_status g2s_fit_names(g2s_fit fit, g2s_text* names) {
  return call([&] {
    g2s_text& out = output(names, "text");
    const Turn turn(fit);
    out = give_text(nlohmann::json(FitResults::names(turn.object()->reconstructor->config)).dump());
  });
}

g2s_status g2s_fit_describe(g2s_fit fit, g2s_text* description) {
  return call([&] {
    g2s_text& out = output(description, "text");
    const Work work(fit, "fit");
    FitResults& results = work->finished();
    nlohmann::json told = result_json(*work->reconstructor, work->job, results.fit(), results.report());
    told.merge_patch(known_beside());
    out = give_text(result_text(told));
  });
}

g2s_status g2s_fit_export(g2s_fit fit, const char* folder) {
  return call([&] {
    const std::string path = text("folder", folder);
    const Work work(fit, "fit");
    work->finished();  // throws before anything is written
    write_folder(work.object(), path);
  });
}
