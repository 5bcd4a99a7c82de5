#include "models/gan2shape/fit_state.h"

#include <cstdio>

#include "engine/json_text.h"

namespace g2s {

using nlohmann::json;

void to_json(json& j, const Accuracy& a) { j = {a.side, a.mad, a.pixels}; }
void from_json(const json& j, Accuracy& a) { a = {j.at(0).get<double>(), j.at(1).get<double>(), j.at(2).get<std::int64_t>()}; }

void to_json(json& j, const PhaseRecord& r) {
  j = {{"phase", r.phase}, {"stage", r.stage}, {"iterations", r.iterations}, {"seconds", r.seconds}, {"first", r.first}, {"last", r.last}};
  if (r.measures) j["measures"] = {r.measures->fit, r.measures->ellipsoid, r.measures->constant};
}

void from_json(const json& j, PhaseRecord& r) {
  r = {j.at("phase"), j.at("stage"), j.at("iterations"), j.at("seconds"), j.at("first"), j.at("last"), {}};
  if (j.contains("measures")) r.measures = {j.at("measures").at(0), j.at("measures").at(1), j.at("measures").at(2)};
}

// What of a state is not tensors and not the position of something else.
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FitState, phase, stage, iteration, projected, seconds, history, record)

namespace {

constexpr int state_version = 1;

std::string numbered(const char* name, std::size_t i) {
  char text[64];
  std::snprintf(text, sizeof text, "%s.%05zu", name, i);
  return text;
}

// The first of my settings that they do not have, or have otherwise. They may have more: an older program's.
std::string differing_setting(const std::string& mine, const std::string& theirs) {
  const json a = json::parse(mine), b = json::parse(theirs, nullptr, false);
  for (const auto& [name, value] : a.items())
    if (!b.is_object() || !b.contains(name) || b.at(name) != value) return name;
  return {};
}

std::string part(const FitIdentity& of, const std::string& key) {
  const auto found = of.find(key);
  return found == of.end() ? std::string() : found->second;
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

std::vector<std::string> differing_parts(const FitIdentity& mine, const FitIdentity& theirs) {
  FitIdentity keys = mine;
  keys.insert(theirs.begin(), theirs.end());
  std::vector<std::string> out;
  for (const auto& [key, any] : keys)
    if (part(mine, key) != part(theirs, key)) out.push_back(key);
  return out;
}

void save_state(const std::string& path, const FitState& state, Adam* optimizer, const FitIdentity& identity) {
  const DefaultDevice host{Device{}};
  NamedTensors tensors = state.networks.to_checkpoint();
  auto add = [&](const std::string& name, const Tensor& t) {
    if (t) tensors.emplace_back(name, t.detach().to(Device{}));
  };
  const Snapshot& snapshot = state.snapshot;
  const Samples& samples = state.samples;
  add("state.latent", state.target.latent);
  add("state.base", state.target.base);
  add("state.turn", state.target.turn);
  add("state.rotation", state.target.rotations);
  add("state.drawn_rotation", state.target.drawn_rotations);
  add("state.canonical_mask", state.target.canonical_mask);
  add("state.canonical_object", state.target.canonical_object);
  add("state.snapshot.depth", snapshot.canonical.depth);
  add("state.snapshot.normal", snapshot.canonical.normal);
  add("state.snapshot.albedo", snapshot.canonical.albedo);
  add("state.snapshot.light", snapshot.light);
  add("state.snapshot.canon_mask", snapshot.canon_mask);
  for (std::size_t i = 0; i < samples.images.size(); ++i) {
    add(numbered("state.images", i), samples.images[i]);
    add(numbered("state.masks", i), samples.masks[i]);
    if (!samples.rotations.empty()) add(numbered("state.rotations", i), samples.rotations[i]);
  }
  if (!samples.order.empty()) add("state.order", Tensor::from(std::vector<std::int32_t>(samples.order.begin(), samples.order.end())));
  if (optimizer)
    for (std::size_t i = 0; i < optimizer->moments().size(); ++i) add(numbered("adam", i), optimizer->moments()[i]);
  json position = state;
  position.update({{"version", state_version},
                   {"sample_index", samples.index},
                   {"views", state.views.position()},
                   {"shuffles", state.shuffles.position()},
                   {"adam_steps", optimizer ? optimizer->steps() : 0},
                   {"batches", samples.images.size()}});
  write_safetensors(path, tensors,
                    {{"format", "pt"}, {"gan2shape_state", position.dump()}, {"gan2shape_identity", json_text(identity, -1)}});
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
  for (const std::string& key : differing_parts(identity, identity_)) {
    const std::string setting = key == "settings" ? differing_setting(part(identity, key), part(identity_, key)) : "";
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
    state.target.base = get("state.base");
    state.target.turn = get("state.turn");
    if (const Tensor r = get("state.rotation")) state.target.rotations = r;
    if (const Tensor r = get("state.drawn_rotation")) state.target.drawn_rotations = r;
    state.target.canonical_mask = get("state.canonical_mask");
    state.target.canonical_object = get("state.canonical_object");
    state.target.gan_image = {};
    state.snapshot = {{get("state.snapshot.depth"), get("state.snapshot.normal"), get("state.snapshot.albedo")}, get("state.snapshot.light"),
                      get("state.snapshot.canon_mask")};
    state.samples = {};
    for (std::size_t i = 0; i < p.at("batches").get<std::size_t>(); ++i) {
      state.samples.images.push_back(get(numbered("state.images", i)));
      state.samples.masks.push_back(get(numbered("state.masks", i)));
      if (const Tensor r = get(numbered("state.rotations", i))) state.samples.rotations.push_back(r);
    }
    if (file_.contains("state.order"))
      for (std::int32_t i : file_.get("state.order").to_vector<std::int32_t>()) state.samples.order.push_back(i);
    state.samples.index = p.at("sample_index").get<std::int64_t>();
    state.views.seek(p.at("views").get<std::uint64_t>());
    state.shuffles.seek(p.at("shuffles").get<std::uint64_t>());
    p.get_to(state);
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
