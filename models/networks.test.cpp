// Every network against PyTorch: models/networks.json (cases) and models/networks.golden.safetensors (tests/oracle/make_network_goldens.py),
// in f64 and f32, weights hashed from their names.
#include <doctest/doctest.h>

#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/autograd.h"
#include "engine/hashed_tensor.h"
#include "engine/image.h"
#include "engine/safetensors.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "models/encoder_decoder.h"
#include "models/hashed_weights.h"
#include "models/lpips.h"
#include "models/stylegan2_discriminator.h"
#include "models/stylegan2_generator.h"
#include "models/u2netp.h"
#include "tests/support/check.h"
#include "tests/support/sketch.h"

using namespace g2s;
using namespace g2s::test;
using nlohmann::json;

namespace {

// R1 of Mescheder et al. 2018: mean over the batch of |d logits / d x|^2.
Tensor r1_penalty(const StyleGan2Discriminator& discriminator, const Tensor& x) {
  Tensor input = x.detach().set_requires_grad();
  std::vector<Tensor> g = grad({sum(discriminator.logits(input))}, {input}, {}, {.create_graph = true});
  return sum(square(g[0])) * (1.0 / static_cast<double>(x.dim(0)));
}

constexpr std::int64_t big = 256, small = 40;  // buckets of a sketch: of outputs, of parameters' gradients

struct Named {
  std::string name;
  Tensor value;
  ParameterKind kind;
};

class Checker {
 public:
  Checker(const json& case_json, const SafetensorsFile& golden, DType type)
      : c(case_json), dtype(type), name_(case_json.at("name")), golden_(golden) {}

  const json& c;
  const DType dtype;
  std::int64_t batch() const { return c.at("batch").get<std::int64_t>(); }
  const std::string& name() const { return name_; }

  // A hashed input given by its shape in the checkpoint's layout.
  Tensor input(const std::string& what, const Shape& shape, double scale = 1) const {
    Tensor x = hashed_input(name_ + "/" + what, shape, dtype, scale);
    return shape.rank() == 4 ? nchw_to_nhwc(x) : x;
  }
  Tensor leaf(const std::string& what, const Shape& shape, double scale = 1) const { return input(what, shape, scale).set_requires_grad(); }
  Tensor cotangent(const std::string& what, const Tensor& like) const {
    Shape shape = like.rank() == 4 ? checkpoint_shape(like.shape(), ParameterKind::map) : like.shape();
    return input(what + "/dy", shape);
  }

  void value(const std::string& what, const Tensor& got, std::int64_t size = big, double f32_tolerance = 1e-5, double f64_tolerance = 1e-9) {
    std::string key = name_ + "/" + what;
    INFO(key << " " << describe(got));
    REQUIRE(golden_.contains(key));
    ++checked;
    Tensor want = golden_.get(key);
    double error = rel_error(sketch(got.rank() == 4 ? nhwc_to_nchw(got) : got, size), want.reshape({want.numel()}));
    CHECK(error < (dtype == DType::f64 ? f64_tolerance : f32_tolerance));
  }

  // Gradients of a scalar to named tensors, in the checkpoint's layout.
  void gradients(const std::string& prefix, const Tensor& scalar, const std::vector<Named>& to, double f32_tolerance = 2e-3) {
    std::vector<Tensor> inputs;
    for (const Named& n : to) inputs.push_back(n.value);
    std::vector<Tensor> g = grad({scalar}, inputs, {}, {.retain_graph = true, .allow_unused = true});
    for (std::size_t i = 0; i < to.size(); ++i) {
      Tensor full = g[i] ? g[i] : Tensor::zeros(to[i].value.shape(), dtype);
      bool parameter = to[i].name.find('.') != std::string::npos;
      std::string key = name_ + "/" + prefix + "/" + to[i].name;
      INFO(key << " " << describe(full));
      REQUIRE(golden_.contains(key));
      ++checked;
      Tensor want = golden_.get(key), got = sketch(to_checkpoint(full, to[i].kind), parameter ? small : big);
      // Where the true gradient is zero up to rounding, an absolute bound.
      double tolerance = dtype == DType::f64 ? 1e-9 : f32_tolerance, error = rel_error(got, want.reshape({want.numel()}));
      CHECK((error < tolerance || norm(got - want.reshape({want.numel()})) < 1e-12));
    }
  }

  int checked = 0;

 private:
  std::string name_;
  const SafetensorsFile& golden_;
};

Tensor weighted(const Tensor& x, const Tensor& dy) { return sum(x * dy); }

std::vector<Named> named(ParameterMap& map, const std::function<bool(const std::string&)>& wanted) {
  std::vector<Named> out;
  for (const Parameter& p : map.all())
    if (wanted(p.name)) out.push_back({p.name, p.value, p.kind});
  return out;
}

bool starts(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }

std::vector<Named> with(Named first, const std::vector<Named>& rest) {
  std::vector<Named> all = {std::move(first)};
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

void check_generator(Checker& t) {
  GeneratorConfig config;
  config.channels = t.c.at("channels").get<std::vector<std::int64_t>>();
  config.size = 4 << (config.levels() - 1);
  config.style_dim = t.c.at("style_dim");
  config.mapping_layers = t.c.at("mapping_layers");
  config.latent_avg = t.c.value("latent_avg", false);
  bool trainable = t.c.value("trainable", false);
  ParameterMap parameters = generator_parameters(config).to(t.dtype);
  fill_hashed_generator(parameters, 0.4, t.name() + "/G");
  StyleGan2Generator net(config, std::move(parameters), trainable ? WeightMode::trainable : WeightMode::frozen);

  Shape shape = t.c.value("wplus", false) ? Shape{t.batch(), config.latents(), config.style_dim} : Shape{t.batch(), config.style_dim};
  Tensor w = t.leaf("w", shape, 0.5), image = net.synthesis(w);
  t.value("image", image);
  auto trained = [](const std::string& n) { return !starts(n, "style.") && !starts(n, "noises.") && n != "latent_avg"; };
  Named to_w{"w", w, ParameterKind::plain};
  Tensor value = weighted(image, t.cotangent("image", image));
  t.gradients("grad", value, with(to_w, named(net.parameters(), trained)));
  if (trainable) {
    Tensor g = grad({value}, {w}, {}, {.create_graph = true})[0];
    auto in_path = [&](const std::string& n) { return trained(n) && !(starts(n, "to_rgb") && n.find("conv") == std::string::npos); };
    t.gradients("second", sum(square(g)), with(to_w, named(net.parameters(), in_path)));
  }
  Tensor z = t.leaf("z", {t.batch(), config.style_dim}, std::sqrt(3.0)), mapped = net.mapping(z);
  t.value("mapping", mapped);
  t.value("mapping_head", net.mapping_range(z, 0, 2));
  CHECK(rel_error(net.mapping_range(net.mapping_range(z, 0, 2), 2, config.mapping_layers + 1), mapped) < 1e-7);
  CHECK(rel_error(net.mean_latent(z), mean(mapped, {0}, true)) < 1e-7);
  auto of_mapping = [](const std::string& n) { return starts(n, "style."); };
  t.gradients("mapping_grad", weighted(mapped, t.cotangent("mapping", mapped)),
              with({"z", z, ParameterKind::plain}, named(net.parameters(), of_mapping)));
}

void check_discriminator(Checker& t) {
  DiscriminatorConfig config;
  config.channels = t.c.at("channels").get<std::vector<std::int64_t>>();
  config.size = 4 << config.blocks();
  bool trainable = t.c.value("trainable", false);
  ParameterMap parameters = discriminator_parameters(config).to(t.dtype);
  fill_hashed_discriminator(parameters, t.name() + "/D");
  StyleGan2Discriminator net(config, std::move(parameters), trainable ? WeightMode::trainable : WeightMode::frozen);

  std::int64_t side = t.c.value("size", config.size);
  Tensor x = t.leaf("x", {t.batch(), 3, side, side});
  std::vector<Tensor> features = net.features(x, t.c.value("features", config.blocks()));
  Tensor value;
  for (std::size_t i = 0; i < features.size(); ++i) {
    std::string name = "feature" + std::to_string(i);
    t.value(name, features[i]);
    Tensor term = mean(features[i] * t.cotangent(name, features[i]));
    value = value ? value + term : term;
  }
  Named to_x{"x", x, ParameterKind::map};
  t.gradients("feature_grad", value, {to_x});
  if (!trainable) return;
  Tensor logits = net.logits(x);
  t.value("logits", logits);
  t.gradients("grad", weighted(logits, t.cotangent("logits", logits)), with(to_x, named(net.parameters(), [](const std::string&) { return true; })));
  auto in_r1 = [](const std::string& n) { return n != "final_linear.1.bias"; };
  Tensor g = grad({sum(logits)}, {x}, {}, {.create_graph = true})[0];
  Tensor r1 = sum(square(g)) * (1.0 / static_cast<double>(t.batch()));
  t.value("r1", r1.reshape({1}), big, 1e-4);
  t.gradients("r1_grad", r1, with(to_x, named(net.parameters(), in_r1)));
  CHECK(rel_error(r1_penalty(net, x), r1) < 1e-6);
}

void check_layer_net(Checker& t, LayerNet net) {
  net.convert(t.dtype);
  fill_hashed(net, t.name() + "/net", t.c.at("last_scale"), t.c.value("smooth", false));
  net.parameters().set_trainable(true);
  std::int64_t size = t.c.at("size");
  Tensor x = t.leaf("x", {t.batch(), 3, size, size}), y = net(x);
  t.value("out", y);
  t.gradients("grad", weighted(y, t.cotangent("out", y)),
              with({"x", x, ParameterKind::map}, named(net.parameters(), [](const std::string&) { return true; })));
}

OutputActivation activation(const json& c) { return c.at("activation") == "tanh" ? OutputActivation::tanh : OutputActivation::none; }

void check_ed_deconv(Checker& t) {
  check_layer_net(t, EDDeconv({.cout = t.c.at("cout"), .size = t.c.at("size"), .nf = t.c.at("nf"), .zdim = t.c.at("zdim"),
                               .gn_base = t.c.at("gn_base"), .activation = activation(t.c)}));
}

void check_encoder(Checker& t) {
  check_layer_net(t, Encoder({.cout = t.c.at("cout"), .size = t.c.at("size"), .nf = t.c.at("nf"), .activation = activation(t.c)}));
}

void check_res_encoder(Checker& t) {
  check_layer_net(t, ResEncoder({.cout = t.c.at("cout"), .size = t.c.at("size"), .nf = t.c.at("nf"), .activation = activation(t.c)}));
}

void check_lpips(Checker& t) {
  Lpips net(SafetensorsFile(source_path("assets/lpips_vgg.safetensors")), t.dtype);
  auto s = t.c.at("shape").get<std::vector<std::int64_t>>();
  Tensor a = t.leaf("a", {s[0], s[3], s[1], s[2]}), b = t.leaf("b", {s[0], s[3], s[1], s[2]});
  Tensor distance = net.distance(a, b);
  t.value("distance", distance);
  t.gradients("grad", weighted(distance, t.cotangent("distance", distance)), {{"a", a, ParameterKind::map}, {"b", b, ParameterKind::map}});
  // Kept features of the target give the same.
  Lpips::Features target = net.features(b.detach());
  CHECK(same_bits(net.distance(net.features(a), target), distance));
}

void check_u2netp(Checker& t) {
  U2NetP net(SafetensorsFile(source_path("assets/u2netp.safetensors")), t.dtype);
  Tensor image = pixels_to_image(read_image(source_path(t.c.at("image"))).rgb);
  Tensor p = net.probability(image.reshape({image.dim(1), image.dim(2), 3}));
  t.value("probability", p);
  Tensor mask = net.mask(image.reshape({image.dim(1), image.dim(2), 3})).to(DType::f64);
  CHECK(rel_error(mask, greater_equal(p, 0.5)) == 0);
  double share = mean(mask).item();
  CHECK(share > 0.1);
  CHECK(share < 0.9);
}

void run_all(DType dtype) {
  SafetensorsFile golden(source_path("models/networks.golden.safetensors"));
  json table = json::parse(std::ifstream(source_path("models/networks.json")));
  const std::map<std::string, void (*)(Checker&)> checks = {{"generator", check_generator},     {"discriminator", check_discriminator},
                                                            {"ed_deconv", check_ed_deconv},     {"encoder", check_encoder},
                                                            {"res_encoder", check_res_encoder}, {"lpips", check_lpips},
                                                            {"u2netp", check_u2netp}};
  for (const json& c : table.at("cases")) {
    if (c.at("net") == "u2netp" && dtype == DType::f64) continue;  // its oracle is in f32 (onnxruntime)
    Checker t(c, golden, dtype);
    checks.at(c.at("net"))(t);
    CHECK(t.checked > 0);
  }
}

}  // namespace

TEST_CASE("networks: f64 against PyTorch") { run_all(DType::f64); }

TEST_CASE("networks: f32 against PyTorch") { run_all(DType::f32); }

TEST_CASE("networks: same bits at any thread count") {
  GeneratorConfig config;
  config.channels = {24, 20, 16, 12};
  config.size = 32;
  config.style_dim = 32;
  ParameterMap parameters = generator_parameters(config);
  fill_hashed_generator(parameters, 0.4);
  StyleGan2Generator generator(config, std::move(parameters));
  EDDeconv net({.size = 64, .nf = 16, .zdim = 32, .gn_base = 4});
  fill_hashed(net, "netA");
  net.parameters().set_trainable(true);
  auto run = [&] {
    Tensor w = hashed_input("w", {3, 32}, DType::f32, 0.5).set_requires_grad();
    Tensor x = hashed_input("x", {1, 64, 64, 3});
    std::vector<Tensor> inputs = net.parameters().tensors();
    std::vector<Tensor> results = grad({sum(square(net(x)))}, inputs);
    Tensor image = generator.synthesis(w);
    results.push_back(image);
    results.push_back(grad({sum(square(image))}, {w})[0]);
    return results;
  };
  std::vector<Tensor> want;
  for (int threads : {1, 2, 3, 8}) {
    Threads guard(threads);
    std::vector<Tensor> got = run();
    if (want.empty()) want = got;
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], want[i]));
  }
}
