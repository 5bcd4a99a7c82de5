#include <climits>
#include <cstdint>
#include <iostream>

#include "apps/commands.h"
#include "apps/definitions.h"
#include "apps/progress.h"
#include "engine/error.h"
#include "engine/files.h"
#include "engine/shown.h"
#include "models/gan2shape/config.h"
#include "models/gan2shape/depth_prior.h"

namespace g2s::app {
namespace {

struct Options {
  std::string weights, preset = "default", out;
  std::int64_t count = 64;
  int iterations = 2000;
  std::uint64_t seed = 0;
  bool force = false;
  bool quiet = false;
  MachineOptions machine;
};

void check_options(const Options& o) {
  require_free(o.out, o.force);
  AtomicFile probe(o.out);  // that it can be written is known before the work, not after
}

int run(const Options& o) {
  ProgressPrinter progress(std::cerr, o.quiet ? ProgressPrinter::Style::quiet : ProgressPrinter::Style::automatic);
  const CommandContext context(context_options(o.machine), progress);
  check_options(o);
  const Config config = preset(o.preset);
  const WeightPaths paths = find_weights(weight_source(o.weights), o.preset, {.generator = true, .u2netp = true});
  const DepthPriorReport report = make_depth_prior(o.out, paths, config, {o.count, o.iterations, o.seed});
  progress.clear();
  std::cout << shown(o.out) << ": the depth network after " << o.iterations << " iterations on " << report.images << " pictures, loss "
            << report.loss << '\n';
  return 0;
}

}  // namespace

Command add_prior(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("-o,--out", o->out, "Where to write the weights; `reconstruct` finds them as depth_prior.safetensors in its --weights folder")
      ->type_name("FILE")
      ->required();
  app.add_option("--preset", o->preset, "Whose network, ellipsoid and generator")
      ->type_name("NAME")
      ->check(one_of(preset_names()))
      ->capture_default_str();
  app.add_option("--weights", o->weights, "Folder with stylegan2_g or mobilestylegan .safetensors; else the program's own, for the preset default")->type_name("DIR");
  app.add_option("--count", o->count, "Pictures to draw")->type_name("N")->check(whole_number(1, 10000))->capture_default_str();
  app.add_option("--iterations", o->iterations, "Of the fit")->type_name("N")->check(whole_number(1, INT_MAX))->capture_default_str();
  app.add_option("--seed", o->seed, "Of pictures and network")->type_name("N")->check(whole_number(0, UINT64_MAX))->capture_default_str();
  add_force_option(app, o->force);
  app.add_flag("-q,--quiet", o->quiet, "Show no progress");
  group(app, Part::input, {"--preset", "--weights"});
  group(app, Part::fit, {"--count", "--iterations", "--seed"});
  group(app, Part::results, {"--out"});
  group(app, Part::messages, {"--quiet"});
  add_machine_options(app, o->machine);
  return [o] { return run(*o); };
}

}  // namespace g2s::app
