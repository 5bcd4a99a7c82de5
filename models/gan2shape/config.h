// Every constant of the method, and the presets of the published categories.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/export.h"
#include "models/renderer.h"

namespace g2s G2S_EXPORTED {

// A multivariate normal distribution.
struct MultivariateNormal {
  std::vector<double> mean;        // n
  std::vector<double> covariance;  // n x n, row-major

  static MultivariateNormal diagonal(std::vector<double> mean, const std::vector<double>& sd);
  // The lower Cholesky factor, n x n row-major; throws if the covariance is not positive definite.
  std::vector<double> factor() const;
};

// Where cameras and lights of a category usually are. The means are added to netV's and netL's outputs.
struct ViewLightPrior {
  MultivariateNormal view;   // rotations x, y, z in units of xyz_rotation_range, translations in units of theirs
  MultivariateNormal light;  // ambient, diffuse, dx, dy
};

// Ranges of step 2's lights: directions dx in [x0,x1], dy in [y0,y1], extra diffuse light a in [a0,a1], ambient changed by alpha * a.
struct RandomLight {
  double x0 = -1, x1 = 1, y0 = -0.2, y1 = 0.8, a0 = -0.1, a1 = 0.6, alpha = -0.6;
};

// Iterations of the three steps of one stage.
struct StageLength {
  int step1 = 0, step2 = 0, step3 = 0;
  bool operator==(const StageLength&) const = default;
};

enum class Quality { draft, standard, paper };
Quality quality_from_name(const std::string& name);  // throws naming what it accepts
const char* to_string(Quality quality);

// How an image is projected into the generator when no latent is given.
struct ProjectionConfig {
  int w_iterations = 150;       // one vector for all layers
  int w_plus_iterations = 350;  // then one per layer
  int warm_up = 20;
  double lr = 0.03;  // at its highest; cosine decay to 0
  double lam_perc = 1;
  int mean_samples = 4096;
};

// Where the offsets of step 2 come from.
enum class ViewSource {
  encoder,     // netEnc alone, as published
  directions,  // the generator's own directions turn heads, netEnc finds the rest: pose_directions.h
};

struct Config {
  std::string preset, category;
  int size = 128;  // S: images, depth and masks of the method
  int crop = 0;    // centre crop of the original image and of the generator's, pixels; 0: none

  // Generator.
  int gan_size = 128;
  double truncation = 1;  // 1: none
  int f1_depth = 2;       // F1_d: the mapping network is cut before module 8 - F1_d
  bool relative_encoder = true, use_mask = false;
  ViewSource views = ViewSource::encoder;
  double mask_growth = 1.25;  // with directions: how much larger than the hull of the landmarks the part is that the losses see

  // Networks.
  int nf = 32, gn_base = 8, zdim = 256, enc_nf = 32;

  // Camera and ranges.
  double fov = 10, min_depth = 0.9, max_depth = 1.1, border_depth = 1.04, rot_center_depth = 1;
  double xyz_rotation_range = 60, xy_translation_range = 0.1, z_translation_range = 0;  // degrees; scene units
  ViewLightPrior prior;
  double view_scale = 1.2;
  RandomLight rand_light;

  // The ellipsoid that netD starts from.
  double prior_near = 0.91, prior_far = 1.02, sphere_radius = 0.4;
  int prior_iterations = 1000;

  // Losses and Adam.
  double lam_perc = 0.5, lam_smooth = 0.01, lam_regular = 0.01;
  double lam_step2_perc = 1;  // of LPIPS in step 2, where there is no discriminator
  double lam_base = 3;        // of the mean square of netD's output, where that is a change of a given shape
  double lam_view = 1;        // in step 3 with directions: of the square of what views differ from those asked for, in units
  double lr = 1e-4, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 5e-4;

  // Schedule.
  int stages = 4;
  StageLength first_stage{600, 600, 400}, later_stages{200, 500, 300};
  int batch = 16, collect = 100;
  int step3_batch = 0;  // images an iteration of step 3; 0: batch, as published
  std::vector<bool> flip1, flip3;  // per stage; missing ones are false

  ProjectionConfig projection;

  int batch_of_step3() const { return step3_batch > 0 ? step3_batch : batch; }
  StageLength stage_length(int stage) const { return stage == 0 ? first_stage : later_stages; }
  bool flip_in_step1(int stage) const { return stage < static_cast<int>(flip1.size()) && flip1[static_cast<std::size_t>(stage)]; }
  bool flip_in_step3(int stage) const { return stage < static_cast<int>(flip3.size()) && flip3[static_cast<std::size_t>(stage)]; }
  RendererConfig renderer() const;

  // Checks what must hold between the values; throws naming the one at fault.
  void validate() const;
};

// face, synface, cat, car, church or default. Throws listing them for any other name.
Config preset(const std::string& name);
std::vector<std::string> preset_names();

// Where step 2 takes its views from, with the settings that go with it. A preset has its own.
void set_views(Config& config, ViewSource views);
ViewSource view_source_from_name(const std::string& name);  // encoder or directions; throws naming them

// Shortens the schedule; `paper` leaves the published counts. `depth_prior`: netD starts from weights that were fitted to ellipsoids before.
void apply_quality(Config& config, Quality quality, bool depth_prior);

// The values that the golden traces carry (tests/golden). Nothing comes from a preset: a missing field throws naming file and field.
Config config_from_trace(const nlohmann::json& json, const std::string& origin);

// Everything, for result.json and for recognising a state file of other settings.
nlohmann::json to_json(const Config& config);

// json[name], or Error(format) naming the file and the field.
const nlohmann::json& json_field(const nlohmann::json& json, const std::string& origin, const char* name);

}  // namespace g2s
