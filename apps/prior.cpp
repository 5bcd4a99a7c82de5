#include <iomanip>
#include <iostream>
#include <optional>

#include "apps/commands.h"
#include "apps/progress.h"
#include "engine/error.h"
#include "engine/files.h"
#include "engine/shown.h"
#include "models/gan2shape/depth_prior.h"
#include "models/gan2shape/find_directions.h"

namespace g2s::app {
namespace {

constexpr std::int64_t ellipsoid_pictures = 64, turned_pictures = 1000;
constexpr int default_iterations = 2000;

struct Options {
  std::string weights, preset = "default", out;
  std::optional<std::int64_t> count;
  std::optional<int> iterations;
  std::uint64_t seed = 0;
  bool force = false;
  MachineOptions machine;
};

void check_options(const Options& o, bool turned) {
  if (o.out.empty()) fail(Errc::invalid_argument, "--out", "is needed: the file for the weights");
  require_free(o.out, o.force);
  AtomicFile probe(o.out);  // that it can be written is known before the work, not after
  const std::int64_t least = turned ? least_poses : 1;
  if (o.count && (*o.count < least || *o.count > 10000))
    fail(Errc::invalid_argument, "--count", *o.count, " is not between ", least, " and 10000");
  if (o.iterations && turned) fail(Errc::invalid_argument, "--iterations", "the preset '", o.preset, "' has no ellipsoids to fit");
  if (o.iterations && *o.iterations < 1) fail(Errc::invalid_argument, "--iterations", *o.iterations, " is not positive");
}

void fit_to_ellipsoids(const Options& o, const Config& config, ProgressPrinter& progress) {
  const int iterations = o.iterations.value_or(default_iterations);
  const WeightPaths paths = find_weights(weight_source(o.weights), o.preset, {.generator = true, .u2netp = true});
  const DepthPriorReport report = make_depth_prior(o.out, paths, config, {o.count.value_or(ellipsoid_pictures), iterations, o.seed});
  progress.clear();
  std::cout << shown(o.out) << ": the depth network after " << iterations << " iterations on " << report.images << " pictures, loss "
            << report.loss << '\n';
}

void find_turns(const Options& o, ProgressPrinter& progress) {
  const WeightPaths paths = find_weights(weight_source(o.weights), o.preset, {.generator = true, .faces = true});
  const FoundDirections found = make_pose_directions(o.out, paths, {o.count.value_or(turned_pictures), o.seed});
  progress.clear();
  std::cout << shown(o.out) << ": how the generator turns heads, from " << found.used << " pictures";
  if (found.without_face + found.unfit > 0)
    std::cout << " (left out: " << found.without_face << " without a face, " << found.unfit << " with an unfit one)";
  std::cout << std::fixed << std::setprecision(2) << "; on pictures held out yaw correlates by " << found.held_out[0] << ", pitch by "
            << found.held_out[1] << std::setprecision(1) << "; they spread by " << found.spread[0] << " and " << found.spread[1]
            << " degrees\n";
}

int run(const Options& o) {
  ProgressPrinter progress(std::cerr);
  const CommandContext context(context_options(o.machine), progress);
  const Config config = preset(o.preset);
  const bool turned = config.views == ViewSource::directions;
  check_options(o, turned);
  turned ? find_turns(o, progress) : fit_to_ellipsoids(o, config, progress);
  return 0;
}

}  // namespace

Command add_prior(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("--out", o->out,
                 "Where to write the weights; `reconstruct` finds them in its --weights folder as depth_prior.safetensors, those of the "
                 "preset ffhq as "
                 "pose_directions.safetensors")
      ->type_name("FILE");
  app.add_option("--preset", o->preset,
                 "Whose network, ellipsoid and generator; ffhq: how a generator of faces turns heads, from the landmarks in its pictures")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--weights", o->weights,
                 "Folder with stylegan2_g or mobilestylegan .safetensors; else the program's own, for the preset default")
      ->type_name("DIR");
  app.add_option("--count", o->count, str("Pictures to draw; else ", ellipsoid_pictures, ", ", turned_pictures, " for the preset ffhq"))
      ->type_name("N");
  app.add_option("--iterations", o->iterations, str("Of the fit to ellipsoids; else ", default_iterations))->type_name("N");
  app.add_option("--seed", o->seed, "Of pictures and network")->type_name("N")->capture_default_str();
  add_force_option(app, o->force);
  add_machine_options(app, o->machine);
  return [o] { return run(*o); };
}

}  // namespace g2s::app
