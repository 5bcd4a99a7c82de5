// MobileStyleGAN against PyTorch: models/mobilestylegan.json (cases) and models/mobilestylegan.golden.safetensors
// (tests/oracle/mobilestylegan.py golden), on the CPU and on the emulated device.
#include "models/mobilestylegan.h"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/autograd.h"
#include "engine/hashed_tensor.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "models/hashed_weights.h"
#include "tests/cli/program.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/sketch.h"

using namespace g2s;
using namespace g2s::test;
using nlohmann::json;

namespace {

constexpr std::int64_t buckets = 256;

struct Golden {
  SafetensorsFile file{source_path("models/mobilestylegan.golden.safetensors")};
  json cases = json::parse(std::ifstream(source_path("models/mobilestylegan.json"))).at("cases");

  double error(const std::string& key, const Tensor& got) const {
    const Tensor want = file.get(key), x = got.to(Device{});
    return rel_error(sketch(x.rank() == 4 ? nhwc_to_nchw(x) : x, buckets), want.reshape({want.numel()}));
  }
};

MobileStyleGanConfig config_of(const json& c) {
  MobileStyleGanConfig config;
  config.style_dim = c.at("style_dim");
  config.mapping_layers = c.at("mapping_layers");
  config.first = c.at("first");
  config.channels = c.at("channels").get<std::vector<std::int64_t>>();
  return config;
}

ParameterMap hashed_parameters(const MobileStyleGanConfig& config, const std::string& name) {
  ParameterMap parameters = mobilestylegan_parameters(config);
  fill_hashed_mobilestylegan(parameters, name + "/G");
  return parameters;
}

// A hashed leaf on the tests' device, and the sum of what is made of it times hashed numbers.
Tensor leaf(const std::string& name, const Shape& shape, DType dtype, double scale) {
  return hashed_input(name, shape, dtype, scale).to(test_device()).set_requires_grad();
}
Tensor weighted(const Tensor& y, const std::string& name) {
  const bool image = y.rank() == 4;
  const Tensor dy = hashed_input(name, image ? checkpoint_shape(y.shape(), ParameterKind::map) : y.shape(), y.dtype());
  return sum(y * (image ? nchw_to_nhwc(dy) : dy).to(test_device()));
}

void check_case(const Golden& golden, const json& c, DType dtype) {
  const DefaultDevice guard(test_device());
  const std::string name = c.at("name");
  const MobileStyleGanConfig config = config_of(c);
  const MobileStyleGan net(config, hashed_parameters(config, name).to(dtype).to(test_device()));
  const std::int64_t batch = c.at("batch");
  const Shape shape = c.value("wplus", false) ? Shape{batch, net.latents(), net.style_dim()} : Shape{batch, net.style_dim()};
  const Tensor w = leaf(name + "/w", shape, dtype, 0.5), z = leaf(name + "/z", {batch, net.style_dim()}, dtype, std::sqrt(3.0));
  const Tensor image = net.synthesis(w), mapped = net.mapping(z);
  const double f32_tolerance = 1e-5, tolerance = dtype == DType::f64 ? 1e-9 : f32_tolerance;
  INFO(name, " ", describe(image));
  CHECK(image.shape() == Shape{batch, net.size(), net.size(), 3});
  CHECK(golden.error(name + "/image", image) < tolerance);
  CHECK(golden.error(name + "/mapping", mapped) < tolerance);
  CHECK(golden.error(name + "/image_grad", grad({weighted(image, name + "/image/dy")}, {w})[0]) < (dtype == DType::f64 ? 1e-9 : 2e-3));
  CHECK(golden.error(name + "/mapping_grad", grad({weighted(mapped, name + "/mapping/dy")}, {z})[0]) < tolerance);
}

void check_all(DType dtype) {
  const Golden golden;
  CHECK(golden.cases.size() == 4);
  for (const json& c : golden.cases) check_case(golden, c, dtype);
}

}  // namespace

TEST_CASE("mobilestylegan: f64 against PyTorch") { check_all(DType::f64); }

TEST_CASE("mobilestylegan: f32 against PyTorch") { check_all(DType::f32); }

TEST_CASE("mobilestylegan: read from a file as any generator, which says what it lacks") {
  const MobileStyleGanConfig config{.style_dim = 8, .mapping_layers = 2, .first = 8, .channels = {8, 4}};
  const TemporaryFolder folder;
  NamedTensors stored = hashed_parameters(config, "file").to_checkpoint("g.");
  write_safetensors(folder / "g.safetensors", stored);
  const std::unique_ptr<Generator> loaded = load_generator(SafetensorsFile(folder / "g.safetensors"), "g.");
  CHECK(loaded->size() == 32);
  CHECK(loaded->latents() == 7);
  CHECK(loaded->mapping_modules() == 3);
  CHECK(!loaded->latent_avg());
  const Tensor w = hashed_input("w", {2, 7, 8});
  CHECK(same_bits(loaded->synthesis(w), MobileStyleGan(config, hashed_parameters(config, "file")).synthesis(w)));
  CHECK(same_bits(loaded->synthesis(broadcast_to(slice(w, 1, 0, 1), {2, 7, 8})), loaded->synthesis(slice(w, 1, 0, 1).reshape({2, 8}))));
  const Tensor dy = hashed_input("dy", {2, 32, 32, 3});
  const Generator::ImageGradient vjp = loaded->synthesis_vjp(w, dy);
  const Tensor latent = w.detach().set_requires_grad(), image = loaded->synthesis(latent);
  CHECK(same_bits(vjp.image, image));
  CHECK(same_bits(vjp.dw, grad({image}, {latent}, {dy})[0]));
  CHECK_THROWS_WITH_AS(loaded->synthesis(hashed_input("w", {2, 6, 8})), doctest::Contains("the synthesis takes [B,8] or [B,7,8], got"), Error);

  for (const std::string absent : {"g.layers.1.up.modulation.weight", "g.layers.1.to_img.conv.scale", "g.conv1.noise"}) {
    NamedTensors fewer;
    for (const auto& [name, tensor] : stored)
      if (name != absent) fewer.emplace_back(name, tensor);
    write_safetensors(folder / "fewer.safetensors", fewer);
    INFO(absent);
    CHECK_THROWS_WITH_AS(load_generator(SafetensorsFile(folder / "fewer.safetensors"), "g."), doctest::Contains(absent.c_str()), Error);
  }
  CHECK_THROWS_WITH_AS(load_generator(SafetensorsFile(folder / "g.safetensors")), doctest::Contains("neither StyleGAN2's"), Error);
}

TEST_CASE("mobilestylegan: same bits at any thread count") {
  const MobileStyleGanConfig config{.style_dim = 16, .mapping_layers = 1, .first = 24, .channels = {20, 12}};
  const MobileStyleGan net(config, hashed_parameters(config, "threads"));
  const Tensor w = hashed_input("w", {3, 16}, DType::f32, 0.5), dy = hashed_input("dy", {3, 32, 32, 3});
  const Generator::ImageGradient want = net.synthesis_vjp(w, dy);
  for (int threads : {1, 3, 8}) {
    const Threads guard(threads);
    const Generator::ImageGradient got = net.synthesis_vjp(w, dy);
    CHECK(same_bits(got.image, want.image));
    CHECK(same_bits(got.dw, want.dw));
  }
}
