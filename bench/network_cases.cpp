#include "bench/network_cases.h"

#include <algorithm>
#include <memory>

#include "bench/cases.h"
#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "models/encoder_decoder.h"
#include "models/hashed_weights.h"
#include "models/mobilestylegan.h"
#include "models/renderer.h"

namespace g2s::bench {
namespace {

std::vector<std::int64_t> widths(int size) {
  if (size == 64) return {128, 128, 128, 64, 32};
  return {512, 512, 512, 512, 256, 128};
}

void randomise(ParameterMap& parameters) {
  Random random(0, "bench");
  for (const Parameter& p : parameters.all()) {
    Tensor value = p.value;
    copy_into(value, random.normal(value.shape()));
  }
}

// The whole MobileStyleGAN has 512 512 512 512 256 128 64 channels; it is cut where it draws `size` pixels.
MobileStyleGan random_mobile_generator(int size) {
  MobileStyleGanConfig config;
  for (std::int64_t channels : {512, 512, 512, 512, 256, 128, 64})
    if (config.size() < size || config.channels.empty()) config.channels.push_back(channels);
  ParameterMap parameters = mobilestylegan_parameters(config);
  fill_hashed_mobilestylegan(parameters);
  return MobileStyleGan(config, std::move(parameters));
}

std::function<void()> generator_case(std::shared_ptr<Generator> generator, std::int64_t batch, bool backward) {
  Tensor w = Random(1, "w").normal({batch, 512});
  if (backward) w.set_requires_grad();
  return [=] {
    if (!backward) {
      NoGrad no_grad;
      generator->synthesis(w);
      return;
    }
    grad({mean(square(generator->synthesis(w)))}, {w});
  };
}

std::function<void()> stylegan2_case(int size, std::int64_t batch, bool backward) {
  return generator_case(std::make_shared<StyleGan2Generator>(random_generator(size)), batch, backward);
}

std::function<void()> discriminator_case(int size, std::int64_t batch) {
  auto discriminator = std::make_shared<StyleGan2Discriminator>(random_discriminator(size));
  Tensor a = random_images(batch, size, "a").set_requires_grad(), b = random_images(batch, size, "b");
  return [=] {
    std::vector<Tensor> fa = discriminator->features(a), fb;
    {
      NoGrad no_grad;
      fb = discriminator->features(b);
    }
    Tensor loss;
    for (std::size_t i = 0; i < fa.size(); ++i) {
      Tensor term = mean(abs(fa[i] - fb[i]));
      loss = loss ? loss + term : term;
    }
    grad({loss}, {a});
  };
}

std::function<void()> lpips_case(const std::string& assets, std::int64_t batch, std::int64_t size) {
  auto lpips = std::make_shared<Lpips>(SafetensorsFile(assets + "/lpips_vgg.safetensors"));
  Tensor a = random_images(batch, size, "a").set_requires_grad(), b = random_images(batch, size, "b");
  return [=] {
    Lpips::Features target;
    {
      NoGrad no_grad;
      target = lpips->features(b);
    }
    grad({mean(lpips->distance(lpips->features(a), target))}, {a});
  };
}

template <class Net>
std::function<void()> training_case(std::shared_ptr<Net> net, std::int64_t batch, std::int64_t size) {
  Random random(0, "bench");
  net->initialize(random);
  net->parameters().set_trainable(true);
  Tensor x = random_images(batch, size, "x");
  return [=] { grad({mean(square((*net)(x)))}, net->parameters().tensors()); };
}

int width_of(int size) { return std::max(4096 / size, 16); }

std::function<void()> depth_net_case(int size) {
  LayerNetConfig config;
  config.size = size;
  config.nf = width_of(size);
  config.gn_base = size >= 128 ? 8 : 16;
  config.activation = OutputActivation::none;
  return training_case(std::make_shared<EDDeconv>(config), 1, size);
}

std::function<void()> latent_net_case(int size) {
  const LayerNetConfig config{.cout = 512, .size = size, .activation = OutputActivation::none};
  return training_case(std::make_shared<ResEncoder>(config), 16, size);
}

}  // namespace

StyleGan2Generator random_generator(int size) {
  GeneratorConfig config;
  config.size = size;
  config.channels = widths(size);
  ParameterMap parameters = generator_parameters(config);
  randomise(parameters);
  return StyleGan2Generator(config, parameters);
}

StyleGan2Discriminator random_discriminator(int size) {
  DiscriminatorConfig config;
  config.size = size;
  config.channels = widths(size);
  std::reverse(config.channels.begin(), config.channels.end());
  ParameterMap parameters = discriminator_parameters(config);
  randomise(parameters);
  return StyleGan2Discriminator(config, parameters);
}

Tensor random_images(std::int64_t batch, std::int64_t size, const char* stream) {
  return Random(0, stream).uniform({batch, size, size, 3}, -1, 1);
}

Body rasteriser_case(std::int64_t size, std::int64_t batch) {
  RendererConfig config;
  config.size = size;
  auto renderer = std::make_shared<Renderer>(config);
  std::vector<float> depth(static_cast<std::size_t>(size * size)), views(static_cast<std::size_t>(batch * 6), 0.0f);
  const std::vector<float> noise = Random(0, "depth").normal({size * size}).to_vector<float>();
  for (std::int64_t i = 0; i < size * size; ++i) {
    double x = 2.0 * static_cast<double>(i % size) / static_cast<double>(size - 1) - 1, y = 2.0 * static_cast<double>(i / size) / static_cast<double>(size - 1) - 1;
    depth[static_cast<std::size_t>(i)] = static_cast<float>(0.93 + 0.1 * (x * x + y * y) + 0.002 * noise[static_cast<std::size_t>(i)]);
  }
  for (std::int64_t i = 0; i < batch; ++i) {
    double t = static_cast<double>(i) / static_cast<double>(std::max<std::int64_t>(batch - 1, 1));
    views[static_cast<std::size_t>(6 * i)] = static_cast<float>(0.2 * (2 * t - 1));
    views[static_cast<std::size_t>(6 * i + 1)] = static_cast<float>(0.7 * (2 * t - 1));
  }
  Tensor one = Tensor::from(depth, {1, size, size, 1});
  Tensor d = clamp(broadcast_to(one, {batch, size, size, 1}), 0.9, 1.1).set_requires_grad();
  Tensor view = Tensor::from(views, {batch, 6});
  Body body = [=] { grad({mean(square(renderer->warp_depth(d, renderer->pose(view))))}, {d}); };
  NoGrad no_grad;
  body.facts = {{"triangles", static_cast<double>(batch * 2 * (size - 1) * (size - 1))},
                {"covered_pixels", sum(renderer->valid(renderer->warp_depth(d, renderer->pose(view)))).item()}};
  return body;
}

std::map<std::string, Setup> network_cases(const std::string& assets) {
  std::map<std::string, Setup> all;
  for (std::int64_t batch : {1, 8, 16})
    for (bool backward : {false, true})
      all[str("G128_b", batch, backward ? "_fwdbwd" : "_fwd")] = [=] { return stylegan2_case(128, batch, backward); };
  for (int size : {128, 256})
    for (std::int64_t batch : {1, 8, 16})
      for (bool backward : {false, true})
        all[str("mobile", size, "_b", batch, backward ? "_fwdbwd" : "_fwd")] = [=] {
          return generator_case(std::make_shared<MobileStyleGan>(random_mobile_generator(size)), batch, backward);
        };
  for (bool backward : {false, true}) all[str("Gsmall64_b16", backward ? "_fwdbwd" : "_fwd")] = [=] { return stylegan2_case(64, 16, backward); };
  all["Dfeat128_b1_fwdbwd"] = [] { return discriminator_case(128, 1); };
  all["Dfeat_small64_b16_fwdbwd"] = [] { return discriminator_case(64, 16); };
  for (std::int64_t size : {64, 128}) {
    for (std::int64_t batch : {1, 16}) all[str("LPIPS", size, "_b", batch, "_fwdbwd")] = [=] { return lpips_case(assets, batch, size); };
    all[str("EDDeconv", size, "_b1_fwdbwd")] = [=] { return depth_net_case(static_cast<int>(size)); };
    all[str("ResEncoder", size, "_b16_fwdbwd")] = [=] { return latent_net_case(static_cast<int>(size)); };
  }
  for (std::int64_t size : {64, 128, 256, 512}) all[str("warp_canon_depth", size, "_b16_fwdbwd")] = [=] { return rasteriser_case(size, 16); };
  return all;
}

}  // namespace g2s::bench
