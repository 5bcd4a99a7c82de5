#include "models/gan2shape/config.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "engine/error.h"
#include "engine/json_text.h"

namespace g2s {
namespace {

using nlohmann::json;

// The published prior files are not public. These follow docs/method.md section 4: yaw 0.3 rad, pitch 0.1 rad, in units of 60 degrees.
ViewLightPrior usual_prior() {
  const double unit = std::numbers::pi / 3;
  return {MultivariateNormal::diagonal({0, 0, 0, 0, 0, 0}, {0.1 / unit, 0.3 / unit, 0.01, 0.05, 0.05, 0.01}),
          MultivariateNormal::diagonal({-0.1, 0.1, 0, 0.3}, {0.2, 0.2, 0.45, 0.3})};
}

Config face() {
  Config c;
  c.preset = c.category = "face";
  c.flip3 = {true};
  return c;
}

Config synface() {
  Config c = face();
  c.preset = c.category = "synface";
  c.size = 64;
  c.nf = 64;
  c.gn_base = 16;
  c.crop = 170;
  c.f1_depth = 8;
  c.rand_light = {-0.9, 0.9, -0.3, 0.8, -0.1, 0.7, -0.4};
  c.stages = 1;
  c.first_stage = {500, 500, 200};
  return c;
}

Config head64() {
  Config c = synface();
  c.preset = "default";
  c.gan_size = 64;
  c.crop = 0;
  return c;
}

Config cat() {
  Config c = face();
  c.preset = c.category = "cat";
  c.gan_size = 256;
  c.crop = 170;
  return c;
}

// Photographs of faces in FFHQ's frame, for generators that have no discriminator.
Config ffhq() {
  Config c = face();
  c.preset = c.category = "ffhq";
  c.gan_size = 256;
  c.use_mask = true;
  c.views = ViewSource::directions;
  c.projection.lam_perc = 0.5;
  c.batch = 8;
  c.stages = 1;
  return c;
}

Config car() {
  Config c;
  c.preset = c.category = "car";
  c.gan_size = 512;
  c.relative_encoder = false;
  c.use_mask = true;
  c.view_scale = 1;
  c.first_stage = {700, 700, 600};
  c.later_stages = {200, 500, 400};
  c.batch = 8;
  return c;
}

Config church() {
  Config c = car();
  c.preset = c.category = "church";
  c.gan_size = 256;
  c.prior_far = 1.0;
  return c;
}

const std::map<std::string, Config (*)()>& presets() {
  static const std::map<std::string, Config (*)()> table = {{"default", head64}, {"face", face}, {"synface", synface},
                                                            {"cat", cat},        {"car", car},   {"church", church},   {"ffhq", ffhq}};
  return table;
}

// The numbers that golden traces and result.json have under the same names.
constexpr std::pair<const char*, double Config::*> shared_numbers[] = {
    {"fov", &Config::fov},
    {"min_depth", &Config::min_depth},
    {"max_depth", &Config::max_depth},
    {"border_depth", &Config::border_depth},
    {"rot_center_depth", &Config::rot_center_depth},
    {"xyz_rotation_range", &Config::xyz_rotation_range},
    {"xy_translation_range", &Config::xy_translation_range},
    {"z_translation_range", &Config::z_translation_range},
    {"view_scale", &Config::view_scale},
    {"lam_perc", &Config::lam_perc},
    {"lam_smooth", &Config::lam_smooth},
    {"lam_regular", &Config::lam_regular},
};
// Those of result.json alone.
constexpr std::pair<const char*, double Config::*> own_numbers[] = {{"mask_growth", &Config::mask_growth},
                                                                    {"lam_base", &Config::lam_base},
                                                                    {"lam_step2_perc", &Config::lam_step2_perc},
                                                                    {"lam_view", &Config::lam_view}};

template <class T>
T field(const json& j, const std::string& origin, const char* name) {
  try {
    return json_field(j, origin, name).get<T>();
  } catch (const json::exception&) {
    fail(Errc::format, origin, "field '", name, "' has another type than expected: ", json_text(j.at(name), -1));
  }
}

std::vector<double> numbers(const json& j, const std::string& origin, const char* name, std::size_t count) {
  auto v = field<std::vector<double>>(j, origin, name);
  if (v.size() != count) fail(Errc::format, origin, "field '", name, "' has ", v.size(), " numbers, expected ", count);
  return v;
}

}  // namespace

MultivariateNormal MultivariateNormal::diagonal(std::vector<double> mean, const std::vector<double>& sd) {
  const std::size_t n = mean.size();
  MultivariateNormal out{std::move(mean), std::vector<double>(n * n, 0.0)};
  for (std::size_t i = 0; i < n; ++i) out.covariance[i * n + i] = sd[i] * sd[i];
  return out;
}

std::vector<double> MultivariateNormal::factor() const {
  const std::size_t n = mean.size();
  std::vector<double> l(n * n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double s = covariance[i * n + j];
      for (std::size_t k = 0; k < j; ++k) s -= l[i * n + k] * l[j * n + k];
      if (i == j) {
        if (!(s > 0)) fail(Errc::invalid_argument, "prior", "the covariance is not positive definite (row ", i, ")");
        l[i * n + i] = std::sqrt(s);
      } else {
        l[i * n + j] = s / l[j * n + j];
      }
    }
  }
  return l;
}

Quality quality_from_name(const std::string& name) {
  if (name == "draft") return Quality::draft;
  if (name == "standard") return Quality::standard;
  if (name == "paper") return Quality::paper;
  fail(Errc::invalid_argument, "quality", "'", name, "' is none of draft, standard, paper");
}

const char* to_string(Quality quality) {
  return quality == Quality::draft ? "draft" : quality == Quality::standard ? "standard" : "paper";
}

RendererConfig Config::renderer() const {
  return {size, fov, min_depth, max_depth, border_depth, rot_center_depth, xyz_rotation_range, xy_translation_range, z_translation_range};
}

void Config::validate() const {
  auto require = [](bool ok, const char* name, const char* what) {
    if (!ok) fail(Errc::invalid_argument, name, what);
  };
  require(size >= 64 && (size & (size - 1)) == 0, "size", "must be a power of two, 64 or more");
  require(f1_depth >= 0 && f1_depth <= 8, "F1_d", "must lie in 0..8");
  require(batch > 0, "batch", "must be positive");
  require(stages > 0, "stages", "must be positive");
  require(collect >= 2, "collect", "at least two batches are needed");
  require(step3_batch >= 0 && step3_batch <= std::int64_t{batch} * collect, "step3_batch", "must not be greater than batch times collect, the samples");
  require(min_depth > 0 && max_depth > min_depth, "max_depth", "must be greater than min_depth, which must be positive");
  require(prior_far > prior_near, "prior_far", "must be greater than prior_near");
  require(prior.view.mean.size() == 6 && prior.light.mean.size() == 4, "prior", "needs 6 view and 4 light components");
}

Config preset(const std::string& name) {
  auto found = presets().find(name);
  if (found == presets().end()) {
    std::string all;
    for (const auto& n : preset_names()) all += (all.empty() ? "" : ", ") + n;
    fail(Errc::invalid_argument, "preset", "'", name, "' is unknown; there are ", all);
  }
  Config c = found->second();
  set_views(c, c.views);
  return c;
}

void set_views(Config& c, ViewSource views) {
  c.views = views;
  const Config published;
  c.prior = usual_prior();
  c.lam_regular = published.lam_regular;
  if (views == ViewSource::encoder) return;
  c.view_scale = 1;
  c.lam_regular = 1;
  // A generator of photographs has a spread of 12.6 and 7.8 degrees; it turns heads well up to 30 and 15.
  c.prior.view = MultivariateNormal::diagonal({0, 0, 0, 0, 0, 0}, {6.0 / 60, 18.0 / 60, 0.01, 0.01, 0.01, 0.01});
}

ViewSource view_source_from_name(const std::string& name) {
  if (name == "encoder") return ViewSource::encoder;
  if (name == "directions") return ViewSource::directions;
  fail(Errc::invalid_argument, "views", "'", name, "' is neither encoder nor directions");
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& entry : presets()) names.push_back(entry.first);
  return names;
}

// docs/accuracy.md has what each cut costs.
void apply_quality(Config& c, Quality quality, bool depth_prior) {
  if (quality == Quality::paper) return;
  // Random weights take all iterations: after fewer the ellipsoid is reached too, but step 3 then goes astray.
  if (depth_prior) c.prior_iterations = 100;
  // Measured with the shipped generator: other presets keep the published counts.
  if (c.preset == "default") {
    c.projection.w_iterations = 60;
    c.projection.w_plus_iterations = 140;
    c.first_stage = {200, 300, 200};
    c.step3_batch = 8;
  }
  if (c.views == ViewSource::directions) {
    c.projection.w_iterations = 100;
    c.projection.w_plus_iterations = 200;
    c.first_stage = {150, 40, 120};
    c.collect = 48;
  }
  if (quality == Quality::standard) return;
  if (depth_prior) c.prior_iterations = 40;
  c.projection.w_iterations = 30;
  c.projection.w_plus_iterations = 60;
  c.stages = 1;
  c.first_stage = {100, 80, 60};
  c.step3_batch = 8;
  c.collect = 40;
  if (c.views == ViewSource::directions) {
    c.projection.w_iterations = 50;
    c.projection.w_plus_iterations = 100;
    c.first_stage = {80, 20, 40};
    c.collect = 24;
  }
}

const json& json_field(const json& j, const std::string& origin, const char* name) {
  if (!j.is_object() || !j.contains(name)) fail(Errc::format, origin, "field '", name, "' is missing");
  return j.at(name);
}

Config config_from_trace(const json& j, const std::string& origin) {
  auto number = [&](const char* name) { return field<double>(j, origin, name); };
  auto whole = [&](const json& part, const char* name) { return field<int>(part, origin, name); };
  auto yes = [&](const char* name) { return field<bool>(j, origin, name); };
  Config c;
  c.preset = field<std::string>(j, origin, "preset");
  c.category = field<std::string>(j, origin, "category");
  for (const auto& [name, value] : shared_numbers) c.*value = number(name);
  c.size = whole(j, "S");
  c.batch = whole(j, "batch");
  const json& gan = json_field(j, origin, "gan");
  c.gan_size = whole(gan, "size");
  c.truncation = field<double>(gan, origin, "truncation");
  const json& nets = json_field(j, origin, "nets");
  c.nf = whole(nets, "nf");
  c.gn_base = whole(nets, "gn_base");
  c.zdim = whole(nets, "zdim");
  c.enc_nf = whole(nets, "enc_nf");
  c.prior.view = MultivariateNormal::diagonal(numbers(j, origin, "view_mean", 6), std::vector<double>(6, 1.0));
  c.prior.light = MultivariateNormal::diagonal(numbers(j, origin, "light_mean", 4), std::vector<double>(4, 1.0));
  auto light = numbers(j, origin, "rand_light", 7);
  c.rand_light = {light[0], light[1], light[2], light[3], light[4], light[5], light[6]};
  c.f1_depth = whole(j, "F1_d");
  c.relative_encoder = yes("relative_encoder");
  c.use_mask = yes("use_mask");
  c.flip1 = {yes("flip1")};
  c.flip3 = {yes("flip3")};
  c.lr = number("lr");
  auto betas = numbers(j, origin, "betas", 2);
  c.beta1 = betas[0];
  c.beta2 = betas[1];
  c.eps = number("eps");
  c.weight_decay = number("weight_decay");
  const json& crop = json_field(j, origin, "crop");
  c.crop = crop.is_null() ? 0 : crop.get<int>();
  c.validate();
  return c;
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MultivariateNormal, mean, covariance)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ProjectionConfig, w_iterations, w_plus_iterations, warm_up, lr, lam_perc, mean_samples)

json to_json(const Config& c) {
  auto length = [](const StageLength& s) { return json{s.step1, s.step2, s.step3}; };
  const RandomLight& r = c.rand_light;
  json out = {
      {"preset", c.preset},
      {"category", c.category},
      {"size", c.size},
      {"crop", c.crop},
      {"gan_size", c.gan_size},
      {"truncation", c.truncation},
      {"F1_d", c.f1_depth},
      {"relative_encoder", c.relative_encoder},
      {"use_mask", c.use_mask},
      {"nets", {{"nf", c.nf}, {"gn_base", c.gn_base}, {"zdim", c.zdim}, {"enc_nf", c.enc_nf}}},
      {"view_prior", c.prior.view},
      {"light_prior", c.prior.light},
      {"rand_light", {r.x0, r.x1, r.y0, r.y1, r.a0, r.a1, r.alpha}},
      {"ellipsoid", {{"near", c.prior_near}, {"far", c.prior_far}, {"radius", c.sphere_radius}, {"iterations", c.prior_iterations}}},
      {"adam", {{"lr", c.lr}, {"betas", {c.beta1, c.beta2}}, {"eps", c.eps}, {"weight_decay", c.weight_decay}}},
      {"stages", c.stages},
      {"first_stage", length(c.first_stage)},
      {"later_stages", length(c.later_stages)},
      {"batch", c.batch},
      {"step3_batch", c.batch_of_step3()},
      {"collect", c.collect},
      {"flip1", c.flip1},
      {"flip3", c.flip3},
      {"projection", c.projection}};
  for (const auto& [name, value] : shared_numbers) out[name] = c.*value;
  if (c.views == ViewSource::encoder) return out;
  out["views"] = "directions";
  for (const auto& [name, value] : own_numbers) out[name] = c.*value;
  return out;
}

}  // namespace g2s
