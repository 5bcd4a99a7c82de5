#include "models/gan2shape/depth_prior.h"

#include "engine/autograd.h"
#include "engine/context.h"
#include "engine/progress.h"
#include "models/gan2shape/input.h"
#include "models/gan2shape/networks.h"
#include "models/gan2shape/prior.h"
#include "models/generator.h"
#include "models/u2netp.h"

namespace g2s {
namespace {

// Random images of the generator with the ellipsoids of what is seen in them.
std::vector<PriorSample> draw_samples(const WeightPaths& weights, const Config& config, const DepthPriorOptions& o) {
  NoGrad no_grad;
  Context& context = Context::current();
  const Device device = context.options().device;
  auto on_device = [&](auto&& work) {
    const DefaultDevice guard(device);
    return work();
  };
  const auto generator = on_device([&] { return load_generator(SafetensorsFile(weights.generator)); });
  const auto masks = on_device([&] { return U2NetP(SafetensorsFile(weights.u2netp)); });
  auto find_mask = [&](const Tensor& image) { return on_device([&] { return masks.mask(image.to(device)).to(Device{}); }); };
  Random random(o.seed, "depth_prior_pictures");
  std::vector<PriorSample> samples;
  for (std::int64_t i = 0; i < o.images; ++i) {
    check_cancelled("prior");
    LoadedInput drawn;
    drawn.names.image = str("picture ", i);
    const Tensor image = on_device([&] {
      return generator->synthesis(generator->mapping(random.normal({1, generator->style_dim()}))).to(Device{});
    });
    drawn.image.rgb = image_to_pixels(image);
    try {
      const PreparedInput in = prepare_input(drawn, config, CropMode::automatic, find_mask);
      samples.push_back({in.image.to(device), ellipsoid_depth(in.mask, config).to(device)});
    } catch (const Error& e) {
      context.log(str(e.what(), "; left out"));
    }
    context.report({.stage = "pictures", .step = i + 1, .steps = o.images});
  }
  if (samples.empty()) fail(Errc::invalid_argument, "prior", "no object was found in any of ", o.images, " pictures of the generator");
  return samples;
}

}  // namespace

DepthPriorReport make_depth_prior(const std::string& path, const WeightPaths& weights, const Config& config, const DepthPriorOptions& o) {
  const std::vector<PriorSample> samples = draw_samples(weights, config, o);
  DepthPriorReport report{static_cast<std::int64_t>(samples.size()), 0};
  NamedTensors half;
  {
    const DefaultDevice guard(Context::current().options().device);
    Networks networks(config, o.seed);
    fit_depth_prior(networks.netD, config, samples, o.iterations, o.seed, [&](int iteration, double loss) {
      check_cancelled("prior");
      report.loss = loss;
      Context::current().report({.stage = "prior", .step = iteration, .steps = o.iterations, .loss = loss, .has_loss = true});
    });
    const DefaultDevice host{Device{}};
    for (const auto& [name, tensor] : networks.netD.parameters().to_checkpoint("netD.")) half.emplace_back(name, tensor.to(DType::f16));
  }
  write_safetensors(path, half,
                    {{"kind", "GAN2Shape depth network fitted to ellipsoids"},
                     {"preset", config.preset},
                     {"pictures", std::to_string(report.images)},
                     {"iterations", std::to_string(o.iterations)},
                     {"seed", std::to_string(o.seed)}});
  return report;
}

}  // namespace g2s
