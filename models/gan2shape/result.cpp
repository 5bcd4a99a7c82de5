#include "models/gan2shape/result.h"

#include <sys/resource.h>

#include <filesystem>
#include <numbers>

#include "engine/accelerator.h"
#include "engine/allocator.h"
#include "engine/files.h"
#include "engine/json_text.h"
#include "engine/parallel.h"
#include "engine/precision.h"
#include "models/gan2shape/warnings.h"

namespace g2s {
namespace {

using nlohmann::json;

json losses_json(const NamedLosses& losses) {
  json out = json::object();
  for (const auto& [name, value] : losses) out[name] = value;
  return out;
}

json image_json(const ReconstructionJob& job) {
  const PreparedInput& in = job.input;
  json out = {{"mask_source", in.mask_source}, {"notes", in.notes}};
  out["used"] = {{"left", in.box.left}, {"top", in.box.top}, {"width", in.box.width}, {"height", in.box.height}};
  if (in.face) {
    json frame = json::array();
    for (const Point& p : in.face->frame) frame.push_back({p.x, p.y});
    out["face"] = {{"number", in.face->number}, {"yaw", in.face->pose.yaw}, {"pitch", in.face->pose.pitch}, {"frame", frame}};
  }
  json corners = json::array();
  for (const Point& p : used_corners(in)) corners.push_back({p.x, p.y});
  out["corners"] = corners;
  if (!job.files.image.empty()) out["file"] = job.files.image;  // else it was in memory
  if (!job.files.mask.empty()) out["mask"] = job.files.mask;
  if (!job.files.truth.empty()) out["truth"] = job.files.truth;
  return out;
}

bool in_stage(const PhaseRecord& r) { return r.phase != Phase::project && r.phase != Phase::prior; }

json phases_json(const FitResult& fit) {
  json out = json::array();
  for (const PhaseRecord& r : fit.history) {
    json phase = {{"phase", to_string(r.phase)}, {"stage", in_stage(r) ? r.stage + 1 : 0}, {"iterations", r.iterations}, {"seconds", r.seconds}};
    if (!r.first.empty()) phase["first_losses"] = losses_json(r.first);
    if (!r.last.empty()) phase["last_losses"] = losses_json(r.last);
    if (r.measures) phase["metrics"] = metrics_json(*r.measures);
    out.push_back(phase);
  }
  return out;
}

json memory_json(Device device) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {{"tensors_mib", static_cast<double>(allocator(device).stats().peak) / (1 << 20)},
          {"process_mib", static_cast<double>(usage.ru_maxrss) / 1024}};
}

// "cpu", or "cuda:0, NVIDIA H100"
std::string device_name(Device device) {
  return device.type == DeviceType::cpu ? str(device) : str(device, ", ", accelerator(device, "device").name(device.index));
}

double degrees(const Tensor& view, std::int64_t i) { return static_cast<double>(view.data<float>()[i]) * 180 / std::numbers::pi; }

}  // namespace

json result_json(const Reconstructor& r, const ReconstructionJob& job, const FitResult& fit, const ExportReport& exported) {
  double seconds = 0;
  json per_stage = json::object();
  for (const PhaseRecord& phase : fit.history) {
    seconds += phase.seconds;
    const std::string name = in_stage(phase) ? str("stage ", phase.stage + 1) : to_string(phase.phase);
    per_stage[name] = per_stage.value(name, 0.0) + phase.seconds;
  }
  json out = {{"program", {{"device", device_name(r.device)}, {"threads", num_threads()}}},
              {"picture", image_json(job)},
              {"quality", to_string(r.settings.quality)},
              {"seed", r.settings.seed},
              {"scale", r.settings.scale},
              {"precision", to_string(precision())},
              {"settings", to_json(r.config)},
              {"identity", job.identity},
              {"weights", {{"generator", r.weights.generator}, {"discriminator", r.weights.discriminator}, {"lpips", r.weights.lpips}}},
              {"warnings", fit_warnings(fit, r.config)},
              {"losses", losses_json(fit.losses)},
              {"camera", {{"fov", r.config.fov}, {"rotation_center_depth", r.config.rot_center_depth}, {"view", fit.view.to_vector<float>()}}},
              {"phases", phases_json(fit)},
              {"seconds", seconds},
              {"seconds_per_stage", per_stage},
              {"peak_memory", memory_json(r.device)},
              {"mesh", {{"vertices", exported.vertices}, {"triangles", exported.triangles}, {"texture_size", exported.texture_size}}},
              {"input_view", {{"pitch", degrees(fit.view, 0)}, {"yaw", degrees(fit.view, 1)}, {"roll", degrees(fit.view, 2)}}}};
  const ProjectionQuality& p = fit.projection;
  out["latent"] = {{"source", fit.projected ? "projected" : "given"},
                   {"space", fit.target.latent.rank() == 3 ? "W+" : "W"},
                   {"lpips_in_mask", p.lpips_masked},
                   {"squared_error_in_mask", p.mse_masked},
                   {"lpips", p.lpips},
                   {"squared_error", p.mse}};
  if (fit.measures) out["metrics"] = metrics_json(*fit.measures);
  return out;
}

std::string result_text(const json& result) { return json_text(result); }

bool is_finished(const std::string& folder) { return std::filesystem::exists(folder + "/result.json"); }

json read_result(const std::string& folder) {
  const std::string path = folder + "/result.json";
  json result = json::parse(read_file(path), nullptr, false);
  if (!result.is_object()) fail(Errc::format, path, "is not JSON");
  return result;
}

namespace {

// The preset and the quality stand for all settings that follow from them.
void add_differing_settings(const json& result, const Reconstructor& r, std::vector<std::string>& out) {
  const json settings = to_json(r.config), theirs = result.value("settings", json::object());
  if (theirs.value("preset", std::string()) != settings.at("preset")) return out.push_back("preset");
  if (result.value("quality", std::string()) != to_string(r.settings.quality)) return out.push_back("quality");
  if (result.contains("scale") && result.at("scale") != r.settings.scale) return out.push_back("scale");
  for (const auto& [key, value] : settings.items())
    if (!theirs.contains(key) || theirs.at(key) != value) out.push_back("setting '" + key + "'");
}

}  // namespace

std::vector<std::string> differences_of(const json& result, const Reconstructor& r, const Identity& mine) {
  std::vector<std::string> out = differing_parts(mine, result.value("identity", Identity()));
  const auto truth = mine.find("truth");
  if (truth == mine.end() || truth->second.empty()) std::erase(out, "truth");  // measured without need
  if (result.value("seed", std::uint64_t{0}) != r.settings.seed) out.push_back("seed");
  add_differing_settings(result, r, out);
  return out;
}

void require_same_result(const std::string& folder, const Reconstructor& r, const Identity& identity) {
  if (!is_finished(folder)) return;
  std::vector<std::string> others;
  try {
    others = differences_of(read_result(folder), r, identity);
  } catch (const json::exception& e) {
    fail(Errc::format, folder + "/result.json", "is damaged: ", e.what());
  }
  if (others.empty()) return;
  std::string all;
  for (std::size_t i = 0; i < others.size(); ++i) all += (i == 0 ? "another " : i + 1 < others.size() ? ", another " : " and another ") + others[i];
  fail(Errc::invalid_argument, folder, "has another fit's result, made with ", all);
}

void require_result_or_nothing(const std::string& folder) {
  namespace fs = std::filesystem;
  if (!fs::exists(folder)) return;
  if (!fs::is_directory(folder)) fail(Errc::io, folder, "is not a folder");
  if (!is_finished(folder) && !fs::is_empty(folder)) fail(Errc::io, folder, "holds other files and no result, so it is not replaced");
}

json metrics_json(const Measures& m) {
  return {{"side", m.fit.side},
          {"mad", m.fit.mad},
          {"ellipsoid_side", m.ellipsoid.side},
          {"ellipsoid_mad", m.ellipsoid.mad},
          {"constant_side", m.constant.side},
          {"constant_mad", m.constant.mad},
          {"pixels", m.fit.pixels}};
}

}  // namespace g2s
