// The steps of a preset with random generator and discriminator, on the default device.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "engine/safetensors.h"
#include "models/gan2shape/steps.h"
#include "models/stylegan2_generator.h"
#include "tests/support/check.h"

namespace g2s::test {

struct World {
  Config config;
  DType dtype;
  Networks networks;
  StyleGan2Generator generator;
  StyleGan2Discriminator discriminator;
  Lpips lpips;
  Method method;
  Target target;

  static ParameterMap randomised(ParameterMap parameters, DType dtype) {
    Random random(0, "parts");
    for (const Parameter& p : parameters.all()) {
      Tensor value = p.value;
      copy_into(value, random.normal(value.shape()));
    }
    return dtype == DType::f32 ? parameters : parameters.to(dtype);
  }
  static Networks networks_of(const Config& c, DType dtype) {
    Networks n(c, 0);
    for (auto& [name, net] : n.all()) net->convert(dtype);
    n.set_trainable();
    return n;
  }
  static GeneratorConfig generator_of(const std::vector<std::int64_t>& widths) {
    GeneratorConfig g;
    g.channels = widths;
    g.size = 4 << (g.levels() - 1);
    return g;
  }
  static DiscriminatorConfig discriminator_of(std::vector<std::int64_t> widths) {
    DiscriminatorConfig d;
    std::reverse(widths.begin(), widths.end());
    d.channels = widths;
    d.size = 4 << d.blocks();
    return d;
  }

  World(const Config& c, const std::vector<std::int64_t>& widths, DType d = DType::f32)
      : config(c), dtype(d), networks(networks_of(c, d)),
        generator(generator_of(widths), randomised(generator_parameters(generator_of(widths)), d)),
        discriminator(discriminator_of(widths), randomised(discriminator_parameters(discriminator_of(widths)), d)),
        lpips(SafetensorsFile(source_path("assets/lpips_vgg.safetensors")), d), method(config, networks, generator, &discriminator, lpips) {
    target.image = Random(1, "input").uniform({1, c.size, c.size, 3}, -1, 1, d);
    target.mask = Tensor::full({1, c.size, c.size, 1}, 1, d);
    target.latent = Random(2, "latent").normal({1, 512}, 0, 1, d);
    prepare_target(method, target);
  }
  Snapshot snapshot() const { return Step1(method, target, false, Tensor()).forward().snapshot; }
  Tensor views() const { return Random(3, "views").normal({config.batch, 6}, 0, 0.2, dtype); }
  Tensor lights() const { return Random(4, "lights").uniform({config.batch, 3}, -0.2, 0.6, dtype); }
  Tensor images() const { return Random(5, "images").uniform({config.batch, config.size, config.size, 3}, -1, 1, dtype); }
  Tensor masks() const { return Random(6, "masks").uniform({config.batch, config.size, config.size, 1}, 0, 1, dtype); }
};

inline Config small_config() {
  Config c = preset("default");
  c.batch = 5;
  c.nf = 16;
  c.enc_nf = 8;
  return c;
}

// Of a generator and discriminator of 64 pixels, from 4 pixels on.
inline const std::vector<std::int64_t> small_widths = {32, 32, 32, 16, 16};

// Losses that apply in one apply in the other, and agree.
inline void check_losses(const Losses& a, const Losses& b, double tolerance = 1e-5) {
  for (const auto& [name, term] : loss_terms) {
    INFO(name);
    REQUIRE((a.*term).defined() == (b.*term).defined());
    if ((a.*term).defined()) CHECK((a.*term).item() == doctest::Approx((b.*term).item()).epsilon(tolerance));
  }
}

}  // namespace g2s::test
