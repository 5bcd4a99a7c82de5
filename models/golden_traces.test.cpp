// The generator, the discriminator and LPIPS at the method's sizes against the golden traces of the shared data (G/*, D/*, lpips/*).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/autograd.h"
#include "engine/hashed_tensor.h"
#include "engine/image.h"
#include "engine/safetensors.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "kernels/resize/resize.h"
#include "kernels/shape/shape.h"
#include "models/hashed_weights.h"
#include "models/lpips.h"
#include "models/stylegan2_discriminator.h"
#include "models/stylegan2_generator.h"
#include "tests/support/check.h"
#include "tests/support/conv_paths.h"

using namespace g2s;
using namespace g2s::test;
using nlohmann::json;

namespace {

struct Trace {
  json spec;
  std::filesystem::path folder;
  SafetensorsFile file;

  Tensor image(const std::string& relative) const { return pixels_to_image(read_image((folder / relative).string()).rgb); }
  Tensor stored(const std::string& name) const { return file.get(name).to(DType::f64); }

  // Largest error over the largest entry, beyond twice that of the reference's own f32 run: an activation that lies within rounding of its
  // kink falls on either side.
  double vector_error(const std::string& name, const Tensor& got) const {
    Tensor want = stored("f64/" + name), e = got.to(DType::f64).reshape(want.shape()) - want, noise = stored("f32/" + name) - want;
    return (max_element(abs(e)).item() - 2 * max_element(abs(noise)).item()) / max_element(abs(want)).item();
  }
  // 99.5th percentile of the error of an image [B,H,W,C], in units of what the README of the traces allows.
  double image_error(const std::string& name, const Tensor& got) const {
    Tensor packed = stored("f64/" + name), meta = stored("meta/" + name);
    const double* m = meta.data<double>();
    double lo = m[0], hi = m[1];
    auto step = static_cast<std::int64_t>(m[2]);
    Tensor want = packed * ((hi - lo) / 65535) + lo, x = nhwc_to_nchw(got.to(DType::f64));
    const Shape &s = want.shape(), &full = x.shape();
    std::vector<double> errors;
    std::int64_t n = 0;
    for (std::int64_t plane = 0; plane < s[0] * s[1]; ++plane)
      for (std::int64_t i = 0; i < s[2]; ++i)
        for (std::int64_t j = 0; j < s[3]; ++j)
          errors.push_back(std::abs(want.data<double>()[n++] - x.data<double>()[(plane * full[2] + i * step) * full[3] + j * step]));
    std::sort(errors.begin(), errors.end());
    return errors[static_cast<std::size_t>(0.995 * static_cast<double>(errors.size()))] / (1e-3 * (hi - lo) + 3 * m[3]);
  }
  // Six numbers (norm, dot product with hashed numbers, first four entries), in units of what is allowed.
  double six_error(const std::string& name, const Tensor& got, const std::string& label) const {
    Tensor want = stored("f64/" + name), noise = stored("noise/" + name), x = nhwc_to_nchw(got.to(DType::f64));
    const double *w = want.data<double>(), *v = x.data<double>();
    const double mine[6] = {norm(x), dot(x, hashed_tensor("dot:" + label, x.shape())), v[0], v[1], v[2], v[3]};
    double worst = 0;
    for (int k = 0; k < 6; ++k) worst = std::max(worst, std::abs(mine[k] - w[k]) / (1e-3 * w[0] + 3 * noise.data<double>()[k == 0 ? 0 : 1]));
    return worst;
  }
};

std::vector<std::int64_t> widths(const json& gan, bool falling) {
  std::vector<std::int64_t> out;
  for (int side = 4; side <= gan.at("size").get<int>(); side *= 2) out.push_back(gan.at("channels").at(std::to_string(side)));
  if (falling) std::reverse(out.begin(), out.end());
  return out;
}

void check_generator(const Trace& t) {
  const json& gan = t.spec.at("gan");
  GeneratorConfig config;
  config.size = gan.at("size");
  config.style_dim = gan.at("style_dim");
  config.mapping_layers = gan.at("mapping_layers");
  config.channels = widths(gan, false);
  ParameterMap parameters = generator_parameters(config);
  fill_hashed_generator(parameters, gan.at("to_rgb_scale"));
  StyleGan2Generator g(config, std::move(parameters));
  CHECK(config.latents() == gan.at("n_latent").get<int>());

  auto dims = gan.at("latent_shape").get<std::vector<std::int64_t>>();
  Tensor w = hashed_input(gan.at("latent"), Shape(dims), DType::f32, 0.5).set_requires_grad();
  Tensor raw = g.synthesis(w);
  CHECK(t.image_error("G/image/raw", raw) < 0.2);
  if (t.spec.at("crop").is_null()) {
    std::int64_t side = t.spec.at("S");
    CHECK(t.image_error("G/image/gan_im", resize(clamp(raw, -1, 1), side, side)) < 0.2);
  }
  Tensor dy = nchw_to_nhwc(hashed_tensor("dot:G/raw", {1, 3, config.size, config.size}).to(DType::f32));
  CHECK(t.vector_error("G/vector/grad_w", grad({sum(raw * dy)}, {w})[0]) < 1e-4);

  Tensor zero = Tensor::zeros({1, config.style_dim});
  CHECK(t.vector_error("G/vector/center_w", g.mapping(zero)) < 1e-5);
  int cut = 8 - t.spec.at("F1_d").get<int>();
  Tensor h = g.mapping_range(zero, 0, cut);
  if (cut > 0) CHECK(t.vector_error("G/vector/center_h", h) < 1e-5);
  CHECK(rel_error(g.mapping_range(h, cut, 9), g.mapping(zero)) < 1e-6);
  Tensor z = hashed_input("mean_latent_z", {4096, config.style_dim}, DType::f32, std::sqrt(3.0));
  CHECK(t.vector_error("G/vector/mean_latent", g.mean_latent(z)) < 1e-4);
}

// x f32 or f64; the gradient's error in units of what is allowed.
double discriminator_error(const Trace& t, const Tensor& image) {
  DiscriminatorConfig config;
  config.size = t.spec.at("gan").at("size");
  config.channels = widths(t.spec.at("gan"), true);
  ParameterMap parameters = discriminator_parameters(config);
  fill_hashed_discriminator(parameters);
  StyleGan2Discriminator d(config, parameters.to(image.dtype()));
  Tensor x = image.clone().set_requires_grad(), value;
  std::vector<Tensor> features = d.features(x, 4);
  for (std::size_t i = 0; i < 4; ++i) {
    std::string label = "D/feature" + std::to_string(i);
    CHECK(t.six_error("D/six/feature" + std::to_string(i), features[i], label) < 0.2);
    Shape stored = checkpoint_shape(features[i].shape(), ParameterKind::map);
    Tensor term = mean(features[i] * nchw_to_nhwc(hashed_tensor("dot:" + label, stored).to(image.dtype())));
    value = value ? value + term : term;
  }
  return t.image_error("D/image/grad_image", grad({value}, {x})[0]);
}

void check_discriminator(const Trace& t, const Tensor& pixels) {
  CHECK(discriminator_error(t, pixels.to(DType::f32).to(DType::f64) * (2.0 / 255) - 1.0) < 0.05);
  // Pixels rounded to f32 put an activation of face128 onto the other side of its kink, in f64 too: 17 x 17 pixels of the gradient then differ by
  // half of what is allowed. Without fused multiply-adds f32 ends there as well.
  CHECK(discriminator_error(t, pixels_to_image(pixels)) < 1);
}

void check_lpips(const Trace& t, const Tensor& image) {
  Lpips net(SafetensorsFile(source_path("assets/lpips_vgg.safetensors")));
  Tensor x = image.clone().set_requires_grad();
  Tensor distance = net.distance(x, t.image(t.spec.at("step3").at("images").at(0)));
  CHECK(t.vector_error("lpips/loss/distance", distance) < 1e-5);
  CHECK(t.image_error("lpips/image/grad_image", grad({sum(distance)}, {x})[0]) < 1);
}

void check_trace(const std::string& name) {
  std::optional<std::string> folder = shared_path("golden");
  if (!folder) return;
  std::filesystem::path base = std::filesystem::path(*folder) / name;
  Trace t{json::parse(std::ifstream(base.string() + ".json")), *folder, SafetensorsFile(base.string() + ".safetensors")};
  Tensor image = t.image(t.spec.at("image"));
  check_generator(t);
  check_discriminator(t, read_image((t.folder / t.spec.at("image").get<std::string>()).string()).rgb);
  check_lpips(t, image);
}

}  // namespace

TEST_CASE("networks: golden trace of 64 pixels, with each path of the convolutions") {
  with_each_conv_path([] { check_trace("synface64"); });
}

TEST_CASE("networks: golden trace of 128 pixels") { check_trace("face128"); }
