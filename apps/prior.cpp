#include <filesystem>
#include <iostream>

#include "apps/commands.h"
#include "apps/weights.h"
#include "engine/autograd.h"
#include "engine/files.h"
#include "engine/context.h"
#include "engine/progress.h"
#include "models/gan2shape/input.h"
#include "models/gan2shape/networks.h"
#include "models/gan2shape/prior.h"
#include "models/stylegan2_generator.h"
#include "models/u2netp.h"

namespace g2s::app {
namespace {

struct Options {
  std::string weights, preset = "default", out;
  std::int64_t count = 64;
  int iterations = 2000;
  std::uint64_t seed = 0;
  MachineOptions machine;
};

void check_options(const Options& o) {
  if (o.out.empty()) fail(Errc::invalid_argument, "--out", "is needed: the file for the weights");
  const std::string folder = std::filesystem::path(o.out).parent_path().string();
  require_writable_folder(folder.empty() ? "." : folder);
  if (o.count < 1 || o.count > 10000) fail(Errc::invalid_argument, "--count", o.count, " is not between 1 and 10000");
  if (o.iterations < 1) fail(Errc::invalid_argument, "--iterations", o.iterations, " is not positive");
}

// Random pictures of the generator with the ellipsoids of what is seen in them; pictures without an object are left out.
std::vector<PriorSample> draw_samples(const Options& o, const Config& config, const StyleGan2Generator& generator, const U2NetP& masks,
                                      Device device, ProgressPrinter& progress) {
  NoGrad no_grad;
  auto draw = [&](Random& random) {
    const DefaultDevice guard(device);
    return generator.synthesis(generator.mapping(random.normal({1, generator.config().style_dim}))).to(Device{});
  };
  auto find_mask = [&](const Tensor& picture) {
    const DefaultDevice guard(device);
    return masks.mask(picture.to(device)).to(Device{});
  };
  Random random(o.seed, "depth_prior_pictures");
  std::vector<PriorSample> samples;
  for (std::int64_t i = 0; i < o.count; ++i) {
    check_cancelled("prior");
    LoadedInput drawn;
    drawn.files.image = str("picture ", i);
    drawn.picture.rgb = picture_to_pixels(draw(random));
    try {
      const PreparedInput in = prepare_input(drawn, config, CropMode::automatic, find_mask);
      samples.push_back({in.image.to(device), ellipsoid_depth(in.mask, config).to(device)});
    } catch (const Error& e) {
      progress.note(str(e.what(), "; left out"));
    }
    progress.update({.stage = "pictures", .step = i + 1, .steps = o.count});
  }
  if (samples.empty()) fail(Errc::invalid_argument, "prior", "no object was found in any of ", o.count, " pictures of the generator");
  return samples;
}

int run(const Options& o) {
  const CommandContext context(context_options(o.machine));
  const Device device = Context::current().options().device;
  check_options(o);
  const Config config = preset(o.preset);
  const WeightPaths paths = find_weights(o.weights, o.preset, {.generator = true, .u2netp = true});
  auto guard = std::make_unique<DefaultDevice>(device);  // of the networks
  const StyleGan2Generator generator = StyleGan2Generator::load(SafetensorsFile(paths.generator));
  const U2NetP masks{SafetensorsFile(paths.u2netp)};
  guard.reset();
  ProgressPrinter progress(std::cerr);
  const std::vector<PriorSample> samples = draw_samples(o, config, generator, masks, device, progress);
  guard = std::make_unique<DefaultDevice>(device);
  Networks networks(config, o.seed);
  double last = 0;
  fit_depth_prior(networks.netD, config, samples, o.iterations, o.seed, [&](int iteration, double loss) {
    check_cancelled("prior");
    last = loss;
    progress.update({.stage = "prior", .step = iteration, .steps = o.iterations, .loss = loss, .has_loss = true});
  });
  guard.reset();
  progress.clear();
  NamedTensors half;
  for (const auto& [name, tensor] : networks.netD.parameters().to_checkpoint("netD.")) half.emplace_back(name, tensor.to(DType::f16));
  write_safetensors(o.out, half,
                    {{"kind", "GAN2Shape depth network fitted to ellipsoids"},
                     {"preset", o.preset},
                     {"pictures", std::to_string(samples.size())},
                     {"iterations", std::to_string(o.iterations)},
                     {"seed", std::to_string(o.seed)}});
  std::cout << o.out << ": the depth network after " << o.iterations << " iterations on " << samples.size() << " pictures, loss " << last << '\n';
  return 0;
}

}  // namespace

Command add_prior(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("--out", o->out, "Where to write the weights; `reconstruct` finds them as depth_prior.safetensors in its --weights folder")
      ->type_name("FILE");
  app.add_option("--preset", o->preset, "Whose network, ellipsoid and generator")->type_name("NAME")->capture_default_str();
  app.add_option("--weights", o->weights, "Folder with stylegan2_g.safetensors; else the program's own, for the preset default")->type_name("DIR");
  app.add_option("--count", o->count, "Pictures to draw")->type_name("N")->capture_default_str();
  app.add_option("--iterations", o->iterations, "Of the fit")->type_name("N")->capture_default_str();
  app.add_option("--seed", o->seed, "Of pictures and network")->type_name("N")->capture_default_str();
  add_machine_options(app, o->machine);
  return [o] { return run(*o); };
}

}  // namespace g2s::app
