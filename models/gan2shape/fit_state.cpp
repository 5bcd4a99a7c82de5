#include "models/gan2shape/fit_state.h"

#include <cstdio>

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

// The first of my settings that they do not have, or have otherwise. They may have more: an older program's.
std::string differing_setting(const std::string& mine, const std::string& theirs) {
  const json a = json::parse(mine), b = json::parse(theirs, nullptr, false);
  for (const auto& [name, value] : a.items())
    if (!b.is_object() || !b.contains(name) || b.at(name) != value) return name;
  return {};
}

// Older states name the parts of batches also where they are whole, which is what no name says.
void forget_whole_batches(FitIdentity& identity) {
  const json settings = json::parse(identity["settings"], nullptr, false);
  if (!settings.is_object()) return;
  const std::string whole = str(settings.value("batch", 0), " and ", settings.value("step3_batch", 0) + 1, " pictures at a time");
  if (identity["--memory-limit"] == whole) identity.erase("--memory-limit");
}

// Reads from a file's metadata.
template <class Read>
auto readable(const std::string& path, Read read) {
  try {
    return read();
  } catch (const json::exception& e) {
    fail(Errc::format, path, "is damaged: ", e.what());
  }
}

}  // namespace

void save_state(const std::string& path, const FitState& state, Adam* optimizer, const FitIdentity& identity) {
  const DefaultDevice host{Device{}};
  NamedTensors tensors = state.networks.to_checkpoint();
  auto add = [&](const std::string& name, const Tensor& t) {
    if (t) tensors.emplace_back(name, t.detach().to(Device{}));
  };
  const Snapshot& snapshot = state.snapshot;
  const Samples& samples = state.samples;
  add("state.latent", state.target.latent);
  add("state.snapshot.depth", snapshot.canonical.depth);
  add("state.snapshot.normal", snapshot.canonical.normal);
  add("state.snapshot.albedo", snapshot.canonical.albedo);
  add("state.snapshot.light", snapshot.light);
  add("state.snapshot.canon_mask", snapshot.canon_mask);
  for (std::size_t i = 0; i < samples.images.size(); ++i) {
    add(numbered("state.images", i), samples.images[i]);
    add(numbered("state.masks", i), samples.masks[i]);
  }
  if (!samples.order.empty()) add("state.order", Tensor::from(std::vector<std::int32_t>(samples.order.begin(), samples.order.end())));
  if (optimizer)
    for (std::size_t i = 0; i < optimizer->moments().size(); ++i) add(numbered("adam", i), optimizer->moments()[i]);
  json history = json::array();
  for (const PhaseRecord& r : state.history) history.push_back(to_json(r));
  const json position = {{"version", state_version},
                         {"phase", static_cast<int>(state.phase)},
                         {"stage", state.stage},
                         {"iteration", state.iteration},
                         {"projected", state.projected},
                         {"sample_index", samples.index},
                         {"views", state.views.position()},
                         {"shuffles", state.shuffles.position()},
                         {"adam_steps", optimizer ? optimizer->steps() : 0},
                         {"seconds", state.seconds},
                         {"history", history},
                         {"record", to_json(state.record)},
                         {"batches", samples.images.size()}};
  write_safetensors(path, tensors, {{"format", "pt"}, {"gan2shape_state", position.dump()}, {"gan2shape_identity", json(identity).dump()}});
}

SavedState::SavedState(const std::string& path) : file_(path) {
  const auto& meta = file_.metadata();
  if (!meta.contains("gan2shape_state") || !meta.contains("gan2shape_identity")) fail(Errc::format, path, "is not a saved state of a fit");
  readable(path, [&] {
    identity_ = json::parse(meta.at("gan2shape_identity")).get<FitIdentity>();
    position_ = json::parse(meta.at("gan2shape_state"));
    if (position_.at("version").get<int>() != state_version) fail(Errc::format, path, "was saved by another version of this program");
    const int phase = position_.at("phase").get<int>();
    if (phase < 0 || phase > static_cast<int>(Phase::done)) fail(Errc::format, path, "is damaged: there is no phase ", phase);
    forget_whole_batches(identity_);
  });
}

void SavedState::require(const FitIdentity& identity) const {
  auto part = [](const FitIdentity& of, const std::string& key) {
    const auto found = of.find(key);
    return found == of.end() ? std::string() : found->second;
  };
  FitIdentity keys = identity_;
  keys.insert(identity.begin(), identity.end());
  for (const auto& [key, any] : keys) {
    const std::string mine = part(identity, key), theirs = part(identity_, key);
    if (mine == theirs) continue;
    const std::string setting = key == "settings" ? differing_setting(mine, theirs) : "";
    if (key == "settings" && setting.empty()) continue;
    fail(Errc::invalid_argument, file_.path(), "cannot be resumed: it was made with another ", setting.empty() ? key : "setting '" + setting + "'");
  }
}

void SavedState::restore(FitState& state) const {
  auto get = [&](const std::string& name) { return file_.contains(name) ? file_.get(name).clone().to(default_device()) : Tensor(); };
  readable(file_.path(), [&] {
    const json& p = position_;
    state.networks.load(file_);
    state.target.latent = get("state.latent");
    state.target.gan_image = {};
    state.snapshot = {{get("state.snapshot.depth"), get("state.snapshot.normal"), get("state.snapshot.albedo")}, get("state.snapshot.light"),
                      get("state.snapshot.canon_mask")};
    state.samples = {};
    for (std::size_t i = 0; i < p.at("batches").get<std::size_t>(); ++i) {
      state.samples.images.push_back(get(numbered("state.images", i)));
      state.samples.masks.push_back(get(numbered("state.masks", i)));
    }
    if (file_.contains("state.order"))
      for (std::int32_t i : file_.get("state.order").to_vector<std::int32_t>()) state.samples.order.push_back(i);
    state.samples.index = p.at("sample_index").get<std::int64_t>();
    state.phase = static_cast<Phase>(p.at("phase").get<int>());
    state.stage = p.at("stage").get<int>();
    state.iteration = p.at("iteration").get<int>();
    state.projected = p.at("projected").get<bool>();
    state.views.seek(p.at("views").get<std::uint64_t>());
    state.shuffles.seek(p.at("shuffles").get<std::uint64_t>());
    state.seconds = p.at("seconds").get<double>();
    state.history.clear();
    for (const json& r : p.at("history")) state.history.push_back(record_from_json(r));
    state.record = record_from_json(p.at("record"));
  });
}

void SavedState::restore(Adam& optimizer) const {
  const auto steps = readable(file_.path(), [&] { return position_.at("adam_steps").get<std::int64_t>(); });
  if (steps == 0) return;
  auto& moments = optimizer.moments();
  for (std::size_t i = 0; i < moments.size(); ++i) copy_into(moments[i], file_.get(numbered("adam", i)));
  optimizer.set_steps(steps);
}

}  // namespace g2s
