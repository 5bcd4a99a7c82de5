// Saving and resuming a fit: one safetensors file with the networks under their checkpoint names, and all else beside them.
#include <cstdio>

#include "models/gan2shape/fit.h"

namespace g2s {
namespace {

using nlohmann::json;

constexpr int state_version = 1;

std::string numbered(const char* name, std::size_t i) {
  char text[64];
  std::snprintf(text, sizeof text, "%s.%05zu", name, i);
  return text;
}

json to_json(const NamedLosses& losses) {
  json out = json::array();
  for (const auto& [name, value] : losses) out.push_back({name, value});
  return out;
}

NamedLosses losses_from_json(const json& j) {
  NamedLosses out;
  for (const json& entry : j) out.emplace_back(entry.at(0).get<std::string>(), entry.at(1).get<double>());
  return out;
}

json to_json(const Accuracy& a) { return {a.side, a.mad, a.pixels}; }
Accuracy accuracy_from_json(const json& j) { return {j.at(0).get<double>(), j.at(1).get<double>(), j.at(2).get<std::int64_t>()}; }

json to_json(const PhaseRecord& r) {
  json out = {{"phase", static_cast<int>(r.phase)}, {"stage", r.stage},           {"iterations", r.iterations},
              {"seconds", r.seconds},               {"first", to_json(r.first)}, {"last", to_json(r.last)}};
  if (r.measures) out["measures"] = {to_json(r.measures->fit), to_json(r.measures->ellipsoid), to_json(r.measures->constant)};
  return out;
}

PhaseRecord record_from_json(const json& j) {
  PhaseRecord r;
  r.phase = static_cast<Phase>(j.at("phase").get<int>());
  r.stage = j.at("stage").get<int>();
  r.iterations = j.at("iterations").get<int>();
  r.seconds = j.at("seconds").get<double>();
  r.first = losses_from_json(j.at("first"));
  r.last = losses_from_json(j.at("last"));
  if (j.contains("measures")) {
    const json& m = j.at("measures");
    r.measures = Measures{accuracy_from_json(m.at(0)), accuracy_from_json(m.at(1)), accuracy_from_json(m.at(2))};
  }
  return r;
}

// Names the part in which two identities differ; of settings, the setting.
std::string difference(const std::string& key, const std::string& mine, const std::string& theirs) {
  if (key != "settings") return key;
  const json a = json::parse(mine, nullptr, false), b = json::parse(theirs, nullptr, false);
  if (!a.is_object() || !b.is_object()) return key;
  for (const auto& [name, value] : a.items()) {
    if (!b.contains(name) || b.at(name) != value) return "setting '" + name + "'";
  }
  return key;
}

}  // namespace

std::map<std::string, std::string> Fit::full_identity() const {
  auto out = options_.identity;
  out["settings"] = to_json(config_).dump();
  out["seed"] = std::to_string(options_.seed);
  // The order of the sums over pictures.
  if (plan_.step2 < config_.batch || plan_.step3 <= config_.batch) out["--memory-limit"] = str(plan_.step2, " and ", plan_.step3, " pictures at a time");
  return out;
}

void Fit::save(const std::string& path) const {
  const DefaultDevice host{Device{}};
  NamedTensors tensors = networks_.to_checkpoint();
  auto add = [&](const std::string& name, const Tensor& t) {
    if (t) tensors.emplace_back(name, t.detach().to(Device{}));
  };
  add("state.latent", latent_);
  add("state.snapshot.depth", snapshot_.canonical.depth);
  add("state.snapshot.normal", snapshot_.canonical.normal);
  add("state.snapshot.albedo", snapshot_.canonical.albedo);
  add("state.snapshot.light", snapshot_.light);
  add("state.snapshot.canon_mask", snapshot_.canon_mask);
  for (std::size_t i = 0; i < images_.size(); ++i) {
    add(numbered("state.images", i), images_[i]);
    add(numbered("state.masks", i), masks_[i]);
  }
  if (!order_.empty()) add("state.order", Tensor::from(std::vector<std::int32_t>(order_.begin(), order_.end())));
  if (adam_) {
    const auto& moments = adam_->moments();
    for (std::size_t i = 0; i < moments.size(); ++i) add(numbered("adam", i), moments[i]);
  }
  json history = json::array();
  for (const PhaseRecord& r : history_) history.push_back(to_json(r));
  const json position = {{"version", state_version},
                         {"phase", static_cast<int>(phase_)},
                         {"stage", stage_},
                         {"iteration", iteration_},
                         {"projected", projected_},
                         {"sample_index", sample_index_},
                         {"views", views_.position()},
                         {"shuffles", shuffles_.position()},
                         {"adam_steps", adam_ ? adam_->steps() : 0},
                         {"seconds", seconds_},
                         {"history", history},
                         {"record", to_json(record_)},
                         {"batches", images_.size()}};
  write_safetensors(path, tensors, {{"format", "pt"}, {"gan2shape_state", position.dump()}, {"gan2shape_identity", json(full_identity()).dump()}});
}

void Fit::resume(const std::string& path) {
  const DefaultDevice guard(device_);
  const SafetensorsFile file(path);
  const auto& meta = file.metadata();
  if (!meta.contains("gan2shape_state") || !meta.contains("gan2shape_identity")) fail(Errc::format, path, "is not a saved state of a fit");
  try {
    const auto theirs = json::parse(meta.at("gan2shape_identity")).get<std::map<std::string, std::string>>();
    for (const auto& [key, value] : full_identity()) {
      auto found = theirs.find(key);
      const std::string other = found == theirs.end() ? "" : found->second;
      if (other != value) fail(Errc::invalid_argument, path, "cannot be resumed: it was made with another ", difference(key, value, other));
    }
    const json p = json::parse(meta.at("gan2shape_state"));
    if (p.at("version").get<int>() != state_version) fail(Errc::format, path, "was saved by another version of this program");
    auto get = [&](const std::string& name) { return file.contains(name) ? file.get(name).clone().to(device_) : Tensor(); };
    networks_.load(file);
    latent_ = get("state.latent");
    snapshot_ = {{get("state.snapshot.depth"), get("state.snapshot.normal"), get("state.snapshot.albedo")}, get("state.snapshot.light"),
                 get("state.snapshot.canon_mask")};
    images_.clear();
    masks_.clear();
    for (std::size_t i = 0; i < p.at("batches").get<std::size_t>(); ++i) {
      images_.push_back(get(numbered("state.images", i)));
      masks_.push_back(get(numbered("state.masks", i)));
    }
    order_.clear();
    if (file.contains("state.order")) {
      for (std::int32_t i : file.get("state.order").to_vector<std::int32_t>()) order_.push_back(i);
    }
    phase_ = static_cast<Phase>(p.at("phase").get<int>());
    stage_ = p.at("stage").get<int>();
    iteration_ = p.at("iteration").get<int>();
    projected_ = p.at("projected").get<bool>();
    sample_index_ = p.at("sample_index").get<std::int64_t>();
    views_.seek(p.at("views").get<std::uint64_t>());
    shuffles_.seek(p.at("shuffles").get<std::uint64_t>());
    seconds_ = p.at("seconds").get<double>();
    history_.clear();
    for (const json& r : p.at("history")) history_.push_back(record_from_json(r));
    record_ = record_from_json(p.at("record"));
    adam_.reset();
    target_.gan_image = {};
    if (phase_ == Phase::done) return;
    begin();
    const auto steps = p.at("adam_steps").get<std::int64_t>();
    if (adam_ && steps > 0) {
      auto& moments = adam_->moments();
      for (std::size_t i = 0; i < moments.size(); ++i) copy_into(moments[i], file.get(numbered("adam", i)));
      adam_->set_steps(steps);
    }
  } catch (const json::exception& e) {
    fail(Errc::format, path, "is damaged: ", e.what());
  }
}

}  // namespace g2s
