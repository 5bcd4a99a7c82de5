#include "c_api/context.h"

#include <filesystem>

#include "c_api/call.h"
#include "engine/accelerator.h"
#include "engine/progress.h"
#include "kernels/precision.h"
#include "models/gan2shape/weights.h"

namespace g2s::capi {
namespace {

namespace fs = std::filesystem;

ContextOptions engine_options(const g2s_context_options& o, Callbacks& callbacks) {
  ContextOptions out;
  out.device = device_from(o.device ? o.device : "cpu", "device");
  if (o.stream && out.device.type == DeviceType::cpu)
    fail(Errc::invalid_argument, "stream", "is one of a CUDA device, but the context works on the CPU");
  out.stream = o.stream;
  out.settings.threads = o.threads;
  out.settings.precision = precision_for(o.precision ? o.precision : "f32", out.device);
  out.memory_limit = o.memory_limit;
  if (o.log) out.log = [&callbacks](const std::string& sentence) { callbacks.log(sentence); };
  if (o.progress) out.progress = [&callbacks](const ProgressState& state) { callbacks.report(state); };
  return out;
}

}  // namespace

void Callbacks::log(const std::string& sentence) {
  std::lock_guard lock(mutex_);
  log_(user_, sentence.c_str());
}

g2s_progress to_c(const ProgressState& state) {
  g2s_progress p{};
  p.struct_size = sizeof p;
  p.has_loss = state.has_loss;
  p.stage = state.stage.c_str();
  p.step = state.step;
  p.steps = state.steps;
  p.loss = state.loss;
  p.seconds = state.seconds;
  p.seconds_left = state.seconds_left;
  return p;
}

void Callbacks::report(const ProgressState& state) {
  const g2s_progress p = to_c(state);
  std::lock_guard lock(mutex_);
  if (progress_(user_, &p) != 0) fail(Errc::cancelled, "progress", "the callback asked to stop");
}

ContextObject::ContextObject(const g2s_context_options& o)
    : callbacks_(o), assets_(o.assets ? o.assets : ""), context_(engine_options(o, callbacks_)) {
  if (!assets_.empty() && !fs::is_directory(assets_)) fail(Errc::io, assets_, "is not a folder (`assets`)");
}

std::string ContextObject::assets() const { return assets_.empty() ? assets_folder(default_asset_places()) : assets_; }

std::string ContextObject::weights(const char* path, const char* asset) const {
  const std::string file = path ? path : (fs::path(assets()) / asset).string();
  if (!fs::exists(file)) fail(Errc::io, file, path ? "does not exist" : "is missing from the assets");
  return file;
}

InContext::Turn::Turn(ContextObject& object) {
  if (!object.context_.options().stream) return;
  if (object.busy_.exchange(true)) throw Busy("context: another call works with its stream");
  busy = &object.busy_;
}

InContext::Turn::~Turn() {
  if (busy) busy->store(false);
}

InContext::InContext(std::shared_ptr<ContextObject> object, const char* what)
    : object_(std::move(object)), turn_(*object_), use_(object_->context()) {
  check_cancelled(what);
}

}  // namespace g2s::capi
