// Parameters of the networks: files, names, initial values, errors.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "models/encoder_decoder.h"
#include "models/hashed_weights.h"
#include "models/lpips.h"
#include "models/stylegan2_discriminator.h"
#include "models/stylegan2_generator.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

struct TemporaryFile {
  std::string path = (std::filesystem::temp_directory_path() / ("g2s_networks_" + std::to_string(reinterpret_cast<std::uintptr_t>(this)))).string();
  ~TemporaryFile() { std::remove(path.c_str()); }
};

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("stylegan2: the shipped generator and discriminator load and run") {
  StyleGan2Generator g = StyleGan2Generator::load(SafetensorsFile(source_path("assets/stylegan2_g.safetensors")));
  CHECK(g.config().size == 64);
  CHECK(g.config().latents() == 10);
  CHECK(g.config().mapping_layers == 8);
  CHECK(g.config().channels == std::vector<std::int64_t>{128, 128, 128, 64, 32});
  REQUIRE(g.latent_avg().defined());
  Tensor image = g.synthesis(g.latent_avg());
  CHECK(image.shape() == Shape{1, 64, 64, 3});
  CHECK(max_element(abs(image)).item() < 1.5);
  CHECK(std::sqrt(mean(square(image - mean(image))).item()) > 0.1);  // an image, not a flat field

  // Its own mean of w, up to the sampling error of 512 samples.
  Random random(1, "mean");
  Tensor mean = g.mean_latent(random, 512);
  CHECK(rel_error(mean, g.latent_avg()) < 0.25);
  Tensor z = random.normal({2, 512});
  CHECK(rel_error(StyleGan2Generator::truncate(g.mapping(z), mean, 0), broadcast_to(mean, {2, 512})) < 1e-6);
  CHECK(rel_error(StyleGan2Generator::truncate(g.mapping(z), mean, 1), g.mapping(z)) < 1e-6);

  StyleGan2Discriminator d = StyleGan2Discriminator::load(SafetensorsFile(source_path("assets/stylegan2_d.safetensors")));
  CHECK(d.config().size == 64);
  CHECK(d.config().channels == std::vector<std::int64_t>{32, 64, 128, 128, 128});
  // It takes its generator's faces for more real than noise.
  double face = d.logits(g.synthesis(g.mapping(z))).to_vector<float>()[0];
  double noise = d.logits(random.uniform({2, 64, 64, 3}, -1, 1)).to_vector<float>()[0];
  CHECK(face > noise);
}

TEST_CASE("stylegan2: a W latent and the W+ latent that repeats it give the same picture") {
  StyleGan2Generator g = StyleGan2Generator::load(SafetensorsFile(source_path("assets/stylegan2_g.safetensors")));
  Tensor w = g.mapping(hashed_input("z", {2, 512}, DType::f32, std::sqrt(3.0)));
  Tensor wide = broadcast_to(w.reshape({2, 1, 512}), {2, 10, 512});
  CHECK(same_bits(g.synthesis(w), g.synthesis(wide)));
}

TEST_CASE("stylegan2: frozen and trainable weights give the same picture, and kernels in a file are ignored") {
  GeneratorConfig config;
  config.channels = {8, 6};
  config.size = 8;
  config.style_dim = 10;
  config.mapping_layers = 2;
  config.latent_avg = true;
  ParameterMap parameters = generator_parameters(config);
  fill_hashed_generator(parameters, 0.4);
  TemporaryFile file;
  NamedTensors stored = parameters.to_checkpoint("g.");
  stored.emplace_back("g.convs.0.conv.blur.kernel", Tensor::full({4, 4}, 1));
  write_safetensors(file.path, stored);
  StyleGan2Generator frozen = StyleGan2Generator::load(SafetensorsFile(file.path), "g.");
  CHECK(frozen.config().channels == config.channels);
  CHECK(frozen.config().latents() == 4);
  StyleGan2Generator trainable(config, parameters.to(DType::f32), WeightMode::trainable);
  Tensor w = hashed_input("w", {2, 10});
  CHECK(rel_error(frozen.synthesis(w), trainable.synthesis(w)) < 1e-6);
  CHECK(rel_error(frozen.latent_avg(), parameters["latent_avg"].reshape({1, 10})) == 0);
  CHECK(trainable.synthesis(w).requires_grad());
  CHECK_FALSE(frozen.synthesis(w).requires_grad());

  stored.pop_back();
  stored.pop_back();
  stored.pop_back();  // the last noise map
  write_safetensors(file.path, stored);
  std::string error = error_of([&] { StyleGan2Generator::load(SafetensorsFile(file.path), "g."); });
  CHECK_MESSAGE(mentions(error, "noises.noise_2"), error);
}

TEST_CASE("networks: errors name the network and the shapes") {
  GeneratorConfig config;
  config.channels = {4, 4};
  config.size = 8;
  config.style_dim = 6;
  config.mapping_layers = 1;
  StyleGan2Generator g(config, generator_parameters(config));
  std::string error = error_of([&] { g.synthesis(Tensor::zeros({2, 5, 6})); });
  CHECK_MESSAGE((mentions(error, "stylegan2_generator") && mentions(error, "[2,5,6]") && mentions(error, "[B,4,6]")), error);
  error = error_of([&] { g.mapping(Tensor::zeros({2, 7})); });
  CHECK_MESSAGE((mentions(error, "[2,7]") && mentions(error, "[B,6]")), error);
  error = error_of([&] { g.mapping_range(Tensor::zeros({2, 6}), 1, 3); });
  CHECK_MESSAGE(mentions(error, "1 to 3 of 2"), error);
  config.size = 16;
  error = error_of([&] { generator_parameters(config); });
  CHECK_MESSAGE(mentions(error, "size 16"), error);

  DiscriminatorConfig d_config{.size = 8, .channels = {4, 4}};
  StyleGan2Discriminator d(d_config, discriminator_parameters(d_config));
  error = error_of([&] { d.logits(Tensor::zeros({1, 16, 16, 3})); });
  CHECK_MESSAGE((mentions(error, "8 pixels") && mentions(error, "[1,16,16,3]")), error);
  error = error_of([&] { d.logits(Tensor::zeros({6, 8, 8, 3})); });
  CHECK_MESSAGE((mentions(error, "batch of 6") && mentions(error, "groups of 4")), error);
  error = error_of([&] { d.features(Tensor::zeros({1, 8, 8, 3}), 4); });
  CHECK_MESSAGE(mentions(error, "4 blocks of 1"), error);

  EDDeconv net({.size = 64, .nf = 4, .zdim = 4, .gn_base = 2});
  error = error_of([&] { net(Tensor::zeros({1, 32, 32, 3})); });
  CHECK_MESSAGE((mentions(error, "ed_deconv") && mentions(error, "[1,32,32,3]")), error);
  error = error_of([&] { Encoder({.size = 96}); });
  CHECK_MESSAGE(mentions(error, "size 96"), error);
  error = error_of([&] { Lpips(SafetensorsFile(source_path("assets/stylegan2_d.safetensors"))); });
  CHECK_MESSAGE((mentions(error, "stylegan2_d.safetensors") && mentions(error, "net.features.0.weight")), error);
}

TEST_CASE("encoder-decoders: parameter names and shapes are PyTorch's") {
  EDDeconv net({.cout = 1, .size = 128, .nf = 32, .zdim = 256, .gn_base = 8});
  const ParameterMap& p = net.parameters();
  auto stored = [&](const std::string& name) { return checkpoint_shape(p[name].shape(), ParameterKind::conv); };
  CHECK(stored("network.0.weight") == Shape{32, 3, 4, 4});
  CHECK(p["network.1.bias"].shape() == Shape{32});
  CHECK(stored("network.12.weight") == Shape{512, 256, 4, 4});
  CHECK(stored("network.14.weight") == Shape{256, 512, 4, 4});
  CHECK(stored("network.16.weight") == Shape{256, 512, 4, 4});  // transposed: [in,out,k,k]
  CHECK(stored("network.18.weight") == Shape{512, 512, 3, 3});
  ResEncoder enc({.cout = 512, .size = 128});
  CHECK(enc.parameters().contains("network.4.conv_sc.bias"));
  CHECK(checkpoint_shape(enc.parameters()["network.6.weight"].shape(), ParameterKind::conv) == Shape{1024, 512, 4, 4});
  CHECK(checkpoint_shape(enc.parameters()["network.8.weight"].shape(), ParameterKind::conv) == Shape{512, 1024, 1, 1});
}

TEST_CASE("encoder-decoders: fresh weights are uniform within 1/sqrt(fan-in)") {
  Random random(7, "init");
  EDDeconv net({.cout = 3, .size = 64, .nf = 8, .zdim = 24, .gn_base = 2});
  net.initialize(random);
  for (std::size_t i = 0; i < net.roles().size(); ++i) {
    const Tensor& t = net.parameters().all()[i].value;
    INFO(net.parameters().all()[i].name);
    if (net.roles()[i] == ParameterRole::norm_weight) CHECK(min_element(t).item() == 1);
    else if (net.roles()[i] == ParameterRole::norm_bias) CHECK(max_element(abs(t)).item() == 0);
    else {
      Shape stored = checkpoint_shape(t.shape(), ParameterKind::conv);  // of a transposed one [in,out,k,k]: fan-in is out k k
      double bound = 1 / std::sqrt(static_cast<double>(stored[1] * stored[2] * stored[3]));
      double largest = max_element(abs(t)).item(), sd = std::sqrt(mean(square(t)).item());
      CHECK(largest <= bound);
      CHECK(largest > 0.97 * bound);
      CHECK(sd * std::sqrt(3.0) / bound == doctest::Approx(1).epsilon(0.1));
    }
  }
  ResEncoder enc({.cout = 512, .size = 64, .nf = 4});
  enc.initialize(random);
  double bias = max_element(abs(enc.parameters()["network.3.conv_sc.bias"])).item();
  CHECK(bias <= 0.25);  // 16 channels in
  CHECK(bias > 0.1);
  Random again(7, "init");
  EDDeconv same({.cout = 3, .size = 64, .nf = 8, .zdim = 24, .gn_base = 2});
  same.initialize(again);
  CHECK(same_bits(same.parameters()["network.0.weight"], net.parameters()["network.0.weight"]));
}

TEST_CASE("encoder-decoders: saved and loaded") {
  Random random(3, "init");
  ResEncoder net({.cout = 5, .size = 64, .nf = 4}), other({.cout = 5, .size = 64, .nf = 4});
  net.initialize(random);
  TemporaryFile file;
  write_safetensors(file.path, net.parameters().to_checkpoint("netEnc."));
  other.load(SafetensorsFile(file.path), "netEnc.");
  Tensor x = hashed_input("x", {2, 64, 64, 3});
  CHECK(same_bits(net(x), other(x)));
}
