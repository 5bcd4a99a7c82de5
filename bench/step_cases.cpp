// One whole iteration of each step of the method, Adam's update included.
#include <memory>

#include "bench/face_cases.h"
#include "bench/network_cases.h"
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
        lpips(SafetensorsFile(assets + "/lpips_vgg.safetensors")), method(config, networks, generator, &discriminator, lpips) {
    networks.set_trainable();
    target.image = random_images(1, c.size, "input");
    target.mask = Tensor::full({1, c.size, c.size, 1}, 1);
    target.latent = Random(2, "latent").normal({1, 512});
    prepare_target(method, target);
  }
};

std::shared_ptr<World> world(int size, const std::string& assets) {
  return std::make_shared<World>(preset(size == 64 ? "default" : "face"), assets);
}

// `gradients` of the step's parameters, and the optimiser's step.
template <class Step, class Gradients>
std::function<void()> iteration(std::shared_ptr<World> w, std::shared_ptr<Step> step, Gradients gradients) {
  auto adam = std::make_shared<Adam>(step->parameters(), adam_options(w->config));
  // The step refers to the world, which must live as long.
  return [w, step, adam, gradients] { adam->step(gradients(*step)); };
}

std::function<void()> step1_case(int size, const std::string& assets) {
  auto w = world(size, assets);
  auto step = std::make_shared<Step1>(w->method, w->target, false, Tensor());
  return iteration(w, step, [](const Step1& s) { return s.update().gradients; });
}

// Steps 2 and 3 with at most `part` images at a time, as a memory limit has them; 0: all.
std::function<void()> step2_case(int size, const std::string& assets, std::int64_t part) {
  auto w = world(size, assets);
  Snapshot snapshot = Step1(w->method, w->target, false, Tensor()).forward().snapshot;
  auto step = std::make_shared<Step2>(w->method, w->target, snapshot);
  auto random = std::make_shared<Random>(3, "views");
  return iteration(w, step, [=](const Step2& s) {
    Tensor views = random->normal({w->config.batch, 6}, 0, 0.2), lights = random->uniform({w->config.batch, 3}, -0.2, 0.6);
    return s.update(views, lights, part > 0 ? part : w->config.batch).gradients;
  });
}

std::function<void()> step3_case(int size, const std::string& assets, std::int64_t part) {
  auto w = world(size, assets);
  auto step = std::make_shared<Step3>(w->method, w->target, true);
  Tensor images = random_images(w->config.batch, size, "projected"), masks = Tensor::full({w->config.batch, size, size, 1}, 1);
  return iteration(w, step, [=](const Step3& s) { return s.update({images, masks, {}}, part > 0 ? part : w->config.batch + 1).gradients; });
}

}  // namespace

std::map<std::string, Setup> step_cases(const std::string& assets) {
  std::map<std::string, Setup> all;
  for (int size : {64, 128}) {
    all[str("step1_", size)] = [=] { return step1_case(size, assets); };
    all[str("step2_", size, "_b16")] = [=] { return step2_case(size, assets, 0); };
    all[str("step3_", size, "_b16")] = [=] { return step3_case(size, assets, 0); };
    all[str("step2_", size, "_b16_by4")] = [=] { return step2_case(size, assets, 4); };
    all[str("step3_", size, "_b16_by4")] = [=] { return step3_case(size, assets, 4); };
  }
  return all;
}

std::map<std::string, Setup> cases(const std::string& assets) {
  std::map<std::string, Setup> all = network_cases(assets);
  all.merge(step_cases(assets));
  all.merge(face_cases(assets));
  all.merge(operator_cases());
  all.merge(c_api_cases());
  return all;
}

}  // namespace g2s::bench
