#include "apps/reconstruct_result.h"

#include <sys/resource.h>

#include <numbers>

#include "apps/output.h"
#include "apps/table.h"
#include "engine/accelerator.h"
#include "engine/allocator.h"
#include "engine/parallel.h"

namespace g2s::app {
namespace {

using nlohmann::json;

json losses_json(const NamedLosses& losses) {
  json out = json::object();
  for (const auto& [name, value] : losses) out[name] = value;
  return out;
}

json picture_json(const Job& job) {
  const PreparedInput& in = job.input;
  json out = {{"file", job.files.image}, {"mask_source", in.mask_source}, {"notes", in.notes}};
  out["used"] = {{"left", in.box.left}, {"top", in.box.top}, {"width", in.box.width}, {"height", in.box.height}};
  if (!job.files.mask.empty()) out["mask"] = job.files.mask;
  if (!job.files.truth.empty()) out["truth"] = job.files.truth;
  return out;
}

json phases_json(const FitResult& fit) {
  json out = json::array();
  for (const PhaseRecord& r : fit.history) {
    const bool staged = r.phase != Phase::project && r.phase != Phase::prior;
    json phase = {{"phase", to_string(r.phase)}, {"stage", staged ? r.stage + 1 : 0}, {"iterations", r.iterations}, {"seconds", r.seconds}};
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

json settings_of(const Plan& plan) { return to_json(plan.config); }

}  // namespace

std::string quality_note(Quality quality) {
  if (quality != Quality::draft) return {};
  return "draft quality: a shortened schedule for a first look; the shape is clearly less accurate than with --quality standard";
}

json result_json(const ReconstructOptions& o, const Plan& plan, const Job& job, const FitResult& fit, const ExportReport& exported) {
  double seconds = 0;
  json per_stage = json::object();
  for (const PhaseRecord& r : fit.history) {
    seconds += r.seconds;
    const bool staged = r.phase != Phase::project && r.phase != Phase::prior;
    const std::string name = staged ? str("stage ", r.stage + 1) : to_string(r.phase);
    per_stage[name] = per_stage.value(name, 0.0) + r.seconds;
  }
  json out = {{"program", {{"version", program_version}, {"device", device_name(plan.device)}, {"threads", num_threads()}}},
              {"picture", picture_json(job)},
              {"quality", to_string(plan.quality)},
              {"seed", o.seed},
              {"precision", o.precision},
              {"settings", settings_of(plan)},
              {"identity", job.identity},
              {"weights", {{"generator", plan.weights.generator}, {"discriminator", plan.weights.discriminator}, {"lpips", plan.weights.lpips}}},
              {"losses", losses_json(fit.losses)},
              {"phases", phases_json(fit)},
              {"seconds", seconds},
              {"seconds_per_stage", per_stage},
              {"peak_memory", memory_json(plan.device)},
              {"mesh", {{"vertices", exported.vertices}, {"triangles", exported.triangles}, {"texture_size", exported.texture_size}}},
              {"input_view", {{"pitch", degrees(fit.view, 0)}, {"yaw", degrees(fit.view, 1)}, {"roll", degrees(fit.view, 2)}}}};
  const ProjectionQuality& p = fit.projection;
  out["latent"] = {{"source", fit.projected ? "projected" : "given"},
                   {"space", fit.target.latent.rank() == 3 ? "W+" : "W"},
                   {"lpips_in_mask", p.lpips_masked},
                   {"squared_error_in_mask", p.mse_masked},
                   {"lpips", p.lpips},
                   {"squared_error", p.mse}};
  if (plan.quality == Quality::draft) out["note"] = quality_note(plan.quality);
  if (fit.measures) out["metrics"] = metrics_json(*fit.measures);
  return out;
}

void require_same_result(const Plan& plan, const ReconstructOptions& o, const Job& job) {
  const json result = read_result(job.folder);
  auto differs = [&](const std::string& what) {
    fail(Errc::invalid_argument, job.folder, "cannot be resumed: it is finished and was made with another ", what, "; --force replaces it");
  };
  const json identity = result.value("identity", json::object());
  for (const auto& [key, value] : job.identity)
    if (identity.value(key, std::string("?")) != value) differs(key);
  if (result.value("seed", std::uint64_t{0}) != o.seed) differs("seed");
  const json mine = settings_of(plan), theirs = result.value("settings", json::object());
  for (const auto& [key, value] : mine.items())
    if (!theirs.contains(key) || theirs.at(key) != value) differs("setting '" + key + "'");
}

}  // namespace g2s::app
