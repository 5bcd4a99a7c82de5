// One whole iteration of each step of the method, Adam's update included.
#include <memory>

#include "bench/network_cases.h"
#include "engine/autograd.h"
#include "kernels/adam/adam.h"
#include "kernels/elementwise/elementwise.h"
#include "models/gan2shape/steps.h"

namespace g2s::bench {
namespace {

// Everything that a step points to, kept alive by the case.
struct World {
  Config config;
  Networks networks;
  StyleGan2Generator generator;
  StyleGan2Discriminator discriminator;
  Lpips lpips;
  Method method;
  Target target;

  World(const Config& c, const std::string& assets)
      : config(c), networks(c, 0), generator(random_generator(c.gan_size)), discriminator(random_discriminator(c.gan_size)),
        lpips(SafetensorsFile(assets + "/lpips_vgg.safetensors")), method(config, networks, generator, discriminator, lpips) {
    networks.set_trainable();
    target.image = random_pictures(1, c.size, "input");
    target.mask = Tensor::full({1, c.size, c.size, 1}, 1);
    target.latent = Random(2, "latent").normal({1, 512});
    prepare_target(method, target);
  }

  std::shared_ptr<Adam> optimiser(const std::vector<Tensor>& parameters) const {
    return std::make_shared<Adam>(parameters, adam_options(config));
  }
};

std::shared_ptr<World> world(int size, const std::string& assets) {
  return std::make_shared<World>(preset(size == 64 ? "default" : "face"), assets);
}

template <class Step, class Forward>
std::function<void()> iteration(std::shared_ptr<World> w, std::shared_ptr<Step> step, Forward forward) {
  auto adam = w->optimiser(step->parameters());
  // The step refers to the world, which must live as long.
  return [w, step, adam, forward] { adam->step(grad({forward(*step)}, adam->parameters())); };
}

std::function<void()> step1_case(int size, const std::string& assets) {
  auto w = world(size, assets);
  auto step = std::make_shared<Step1>(w->method, w->target, false, Tensor());
  return iteration(w, step, [](const Step1& s) { return s.forward().losses.total; });
}

std::function<void()> step2_case(int size, const std::string& assets) {
  auto w = world(size, assets);
  Snapshot snapshot = Step1(w->method, w->target, false, Tensor()).forward().snapshot;
  auto step = std::make_shared<Step2>(w->method, w->target, snapshot);
  auto random = std::make_shared<Random>(3, "views");
  return iteration(w, step, [=](const Step2& s) {
    Tensor views = random->normal({w->config.batch, 6}, 0, 0.2), lights = random->uniform({w->config.batch, 3}, -0.2, 0.6);
    return s.forward(views, lights).losses.total;
  });
}

std::function<void()> step3_case(int size, const std::string& assets) {
  auto w = world(size, assets);
  auto step = std::make_shared<Step3>(w->method, w->target, true);
  Tensor images = random_pictures(w->config.batch, size, "projected"), masks = Tensor::full({w->config.batch, size, size, 1}, 1);
  return iteration(w, step, [=](const Step3& s) { return s.forward(images, masks).batch.total; });
}

// Steps 2 and 3 with four pictures at a time, as a memory limit has them.
constexpr std::int64_t part = 4;

std::function<void()> parted_step2_case(int size, const std::string& assets) {
  auto w = world(size, assets);
  auto step = std::make_shared<Step2>(w->method, w->target, Step1(w->method, w->target, false, Tensor()).forward().snapshot);
  auto adam = w->optimiser(step->parameters());
  Tensor views = Random(3, "views").normal({w->config.batch, 6}, 0, 0.2), lights = Random(4, "lights").uniform({w->config.batch, 3}, -0.2, 0.6);
  return [w, step, adam, views, lights] { adam->step(step->update(views, lights, part).gradients); };
}

std::function<void()> parted_step3_case(int size, const std::string& assets) {
  auto w = world(size, assets);
  auto step = std::make_shared<Step3>(w->method, w->target, true);
  auto adam = w->optimiser(step->parameters());
  Tensor images = random_pictures(w->config.batch, size, "projected"), masks = Tensor::full({w->config.batch, size, size, 1}, 1);
  return [w, step, adam, images, masks] { adam->step(step->update(images, masks, part).gradients); };
}

}  // namespace

std::map<std::string, Setup> step_cases(const std::string& assets) {
  std::map<std::string, Setup> all;
  for (int size : {64, 128}) {
    all[str("step1_", size)] = [=] { return step1_case(size, assets); };
    all[str("step2_", size, "_b16")] = [=] { return step2_case(size, assets); };
    all[str("step3_", size, "_b16")] = [=] { return step3_case(size, assets); };
    all[str("step2_", size, "_b16_by4")] = [=] { return parted_step2_case(size, assets); };
    all[str("step3_", size, "_b16_by4")] = [=] { return parted_step3_case(size, assets); };
  }
  return all;
}

std::map<std::string, Setup> cases(const std::string& assets) {
  std::map<std::string, Setup> all = network_cases(assets);
  all.merge(step_cases(assets));
  all.merge(operator_cases());
  return all;
}

}  // namespace g2s::bench
