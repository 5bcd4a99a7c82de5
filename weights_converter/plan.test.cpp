// What is planned, and what is refused, on checkpoints made here; tests/convert has whole conversions.
#include "weights_converter/plan.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <map>

#include "engine/error.h"

using namespace g2s;
using namespace g2s::convert;

namespace {

using Tensors = std::map<std::string, Dims>;

SourceTensor filled(const std::string& name, const Dims& shape, float value = 1) {
  return make_tensor(name, shape, std::vector<float>(static_cast<std::size_t>(numel_of(shape)), value));
}

std::shared_ptr<Checkpoint> checkpoint_of(const Tensors& tensors) {
  auto c = std::make_shared<Checkpoint>();
  c->path = "made.pt";
  for (const auto& [name, shape] : tensors) {
    c->index[name] = c->tensors.size();
    c->tensors.push_back(filled(name, shape));
  }
  return c;
}

Request of_kind(const std::string& kind, std::optional<NumberType> dtype = {}) {
  Request request;
  request.kind = kind;
  request.dtype = dtype;
  return request;
}

Request of_network(const std::string& network) {
  Request request;
  request.network = network;
  return request;
}

ConversionPlan plan_of(const Tensors& tensors, const Request& request = {}) { return make_plan({checkpoint_of(tensors)}, request); }

const OutputTensor& tensor_of(const ConversionPlan& plan, const std::string& name) {
  for (const OutputTensor& t : plan.tensors)
    if (t.name == name) return t;
  FAIL("no " << name);
  return plan.tensors.front();
}

void add_styled(Tensors& t, const std::string& name, std::int64_t out, std::int64_t in) {
  t[name + ".conv.weight"] = {1, out, in, 3, 3};
  t[name + ".conv.modulation.weight"] = {in, 6};
  t[name + ".conv.modulation.bias"] = {in};
  t[name + ".noise.weight"] = {1};
  t[name + ".activate.bias"] = {out};
}

void add_rgb(Tensors& t, const std::string& name, std::int64_t in) {
  t[name + ".conv.weight"] = {1, 3, in, 1, 1};
  t[name + ".conv.modulation.weight"] = {in, 6};
  t[name + ".conv.modulation.bias"] = {in};
  t[name + ".bias"] = {1, 3, 1, 1};
}

// An 8x8 generator in rosinality's names.
Tensors small_generator(const std::string& prefix = "") {
  Tensors t;
  t["style.1.weight"] = {6, 6};
  t["style.1.bias"] = {6};
  t["input.input"] = {1, 5, 4, 4};
  add_styled(t, "conv1", 5, 5);
  add_styled(t, "convs.0", 4, 5);
  add_styled(t, "convs.1", 4, 4);
  add_rgb(t, "to_rgb1", 5);
  add_rgb(t, "to_rgbs.0", 4);
  t["noises.noise_0"] = {1, 1, 4, 4};
  t["noises.noise_1"] = t["noises.noise_2"] = {1, 1, 8, 8};
  Tensors named;
  for (auto& [name, shape] : t) named[prefix + name] = shape;
  return named;
}

Tensors changed(Tensors t, const std::function<void(Tensors&)>& change) {
  change(t);
  return t;
}

}  // namespace

TEST_CASE("plan: a generator is described by its shapes") {
  const ConversionPlan plan = plan_of(small_generator());
  CHECK(plan.kind == "stylegan2-generator");
  CHECK(plan.description == "StyleGAN2 generator, 8x8, channels 5 4, 1 mapping layers, W mean absent");
  CHECK(plan.metadata.at("style_width") == "6");
  CHECK(plan.tensors.size() == small_generator().size());
  CHECK(plan.notes.empty());
}

TEST_CASE("plan: the moving average wins, its mean of W lies at the top") {
  Tensors t = small_generator("g.");
  t.merge(small_generator("g_ema."));
  t["latent_avg"] = {6};
  ConversionPlan plan = plan_of(t);
  CHECK(tensor_of(plan, "conv1.conv.weight").parts[0].name == "g_ema.conv1.conv.weight");
  CHECK(tensor_of(plan, "latent_avg").shape == Dims{6});
  plan = plan_of(t, of_network("g"));
  CHECK(tensor_of(plan, "conv1.conv.weight").parts[0].name == "g.conv1.conv.weight");
  CHECK(plan.description.find("W mean absent") != std::string::npos);
  CHECK_THROWS_WITH_AS(plan_of(t, of_network("G")), "made.pt: has no generator called G, but: g, g_ema", Error);
  Tensors two = small_generator("a.");
  two.merge(small_generator("b."));
  CHECK_THROWS_WITH_AS(plan_of(two), "made.pt: has several generators: a, b; say which", Error);
}

TEST_CASE("plan: what is wrong with a generator is said") {
  const Tensors good = small_generator("g_ema.");
  auto with = [&](const std::function<void(Tensors&)>& change) { return changed(good, change); };
  CHECK_THROWS_WITH_AS(plan_of(with([](Tensors& t) { t.erase("g_ema.convs.0.activate.bias"); })),
                       "made.pt: g_ema.convs.0.activate.bias is missing", Error);
  CHECK_THROWS_WITH_AS(plan_of(with([](Tensors& t) { t["g_ema.convs.1.conv.weight"] = {1, 4, 7, 3, 3}; })),
                       "made.pt: g_ema.convs.1.conv.weight is f32 [4,7,3,3], which does not make convs.1.conv.weight f32 [1,4,4,3,3]", Error);
  CHECK_THROWS_WITH_AS(plan_of(with([](Tensors& t) { t["g_ema.style.1.weight"] = {6, 9}; })),
                       "made.pt: g_ema.style.1.weight is f32 [6,9]: the mapping's layers must all be as wide as the style, 6", Error);
  CHECK_THROWS_WITH_AS(plan_of(with([](Tensors& t) { t.erase("g_ema.to_rgb1.conv.weight"); })),
                       doctest::Contains("only generators with a picture at every size"), Error);
  CHECK_THROWS_WITH_AS(plan_of(with([](Tensors& t) { t["g_ema.convs.0.conv.blur.kernel"] = {4, 4}; })),
                       "made.pt: g_ema.convs.0.conv.blur.kernel is another blur than 1 3 3 1", Error);
  CHECK_THROWS_WITH_AS(plan_of(with([](Tensors& t) { t.erase("g_ema.noises.noise_1"); })), "made.pt: g_ema.noises.noise_1 is missing", Error);
}

TEST_CASE("plan: a generator without noise maps gets zeros, and that is said; what is not used is said too") {
  const ConversionPlan plan = plan_of(changed(small_generator(), [](Tensors& t) {
    for (int i = 0; i < 3; ++i) t.erase(str("noises.noise_", i));
    t["somewhere.else"] = {2};
  }));
  REQUIRE(plan.notes.size() == 2);
  CHECK(plan.notes[0] == "the file has no noise maps: zeros are written, so pictures have no noise");
  CHECK(plan.notes[1] == "1 tensors are not used, the first being somewhere.else");
  for (double v : read_values(tensor_of(plan, "noises.noise_2").parts[0])) CHECK(v == 0);
}

TEST_CASE("plan: the channel multiplier is that of the widths from 64 on") {
  Tensors t = small_generator();
  for (int level = 2; level <= 5; ++level) {
    const std::int64_t before = level == 2 ? 4 : level == 3 ? 4 : level == 4 ? 4 : 128, width = level < 4 ? 4 : level == 4 ? 128 : 64;
    add_styled(t, str("convs.", 2 * level - 2), width, before);
    add_styled(t, str("convs.", 2 * level - 1), width, width);
    add_rgb(t, str("to_rgbs.", level - 1), width);
    for (int i : {2 * level - 1, 2 * level}) t[str("noises.noise_", i)] = {1, 1, 4 << level, 4 << level};
  }
  const ConversionPlan plan = plan_of(t);
  CHECK(plan.metadata.at("channels") == "5 4 4 4 128 64");
  CHECK(plan.metadata.at("channel_multiplier") == "0.5");
}

TEST_CASE("plan: one kind can be forced, unknown ones are named") {
  const Tensors g = small_generator();
  CHECK_THROWS_WITH_AS(plan_of(g, of_kind("stylegan2-discriminator")), "made.pt: has no StyleGAN2 discriminator in a layout that is known", Error);
  CHECK_THROWS_WITH_AS(plan_of(g, of_kind("sylegan")),
                       "kind: 'sylegan' is none of auto, mobilestylegan, stylegan2-generator, stylegan2-discriminator, lpips, u2netp, "
                       "face-detector, face-landmarks, bisenet, pspnet, gan2shape-nets, tensors",
                       Error);
  const ConversionPlan plan = plan_of(g, of_kind("tensors", NumberType::bf16));
  CHECK(plan.kind == "tensors");
  CHECK(tensor_of(plan, "style.1.bias").type == NumberType::bf16);
  CHECK(plan_of({{"anything", {3}}}).kind == "tensors");
  CHECK_THROWS_WITH_AS(make_plan({checkpoint_of(g), checkpoint_of(g)}, {}), doctest::Contains("only LPIPS and MobileStyleGAN are made from several"), Error);
  CHECK_THROWS_WITH_AS(make_plan({checkpoint_of({{"a", {1}}}), checkpoint_of({{"a", {1}}})}, of_kind("tensors")),
                       doctest::Contains("appears twice"), Error);
}

TEST_CASE("plan: LPIPS refuses the heads of another network, and half of what it needs") {
  Tensors heads;
  const std::int64_t alex[] = {64, 192, 384, 256, 256}, vgg[] = {64, 128, 256, 512, 512};
  Tensors features;
  const int numbers[] = {0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28};
  const std::int64_t widths[] = {3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512};
  for (std::size_t i = 0; i < 13; ++i) {
    features[str("features.", numbers[i], ".weight")] = {widths[i + 1], widths[i], 3, 3};
    features[str("features.", numbers[i], ".bias")] = {widths[i + 1]};
  }
  features["classifier.0.weight"] = {4, 4};
  for (int i = 0; i < 5; ++i) heads[str("lin", i, ".model.1.weight")] = {1, alex[i], 1, 1};
  CHECK_THROWS_WITH_AS(make_plan({checkpoint_of(features), checkpoint_of(heads)}, {}), doctest::Contains("these belong to another network"), Error);
  CHECK_THROWS_WITH_AS(make_plan({checkpoint_of(features)}, {}), doctest::Contains("no heads of LPIPS"), Error);
  for (int i = 0; i < 5; ++i) heads[str("lin", i, ".model.1.weight")] = {1, vgg[i], 1, 1};
  const ConversionPlan plan = make_plan({checkpoint_of(features), checkpoint_of(heads)}, of_kind("auto", NumberType::f16));
  CHECK(plan.tensors.size() == 31);
  CHECK(tensor_of(plan, "net.features.0.weight").type == NumberType::f16);
  CHECK(tensor_of(plan, "net.features.0.bias").type == NumberType::f32);
  CHECK(tensor_of(plan, "lin4.weight").type == NumberType::f32);
  REQUIRE(plan.notes.size() == 1);
  CHECK(plan.notes[0] == "VGG16's classifier is left out");
}

// (x w + b - mean) gamma / sqrt(var + eps) + beta for one batch norm, and every other convolution as it is.
TEST_CASE("plan: batch norms of U-2-Net-p are folded") {
  auto c = std::make_shared<Checkpoint>();
  c->path = "u2netp.pth";
  auto add = [&](const std::string& name, const Dims& shape, float value) {
    c->index[name] = c->tensors.size();
    c->tensors.push_back(filled(name, shape, value));
  };
  const int heights[] = {7, 6, 5, 4, 4, 4};
  auto block = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    add(name + ".conv_s1.weight", {out, in, 3, 3}, 3);
    add(name + ".conv_s1.bias", {out}, 5);
    add(name + ".bn_s1.weight", {out}, 2);
    add(name + ".bn_s1.bias", {out}, 0.5f);
    add(name + ".bn_s1.running_mean", {out}, 1);
    add(name + ".bn_s1.running_var", {out}, 4);
  };
  auto stage = [&](const std::string& name, int height, std::int64_t in) {
    block(name + ".rebnconvin", 64, in);
    for (int k = 1; k <= height; ++k) block(str(name, ".rebnconv", k), 16, k == 1 ? 64 : 16);
    for (int k = 1; k < height; ++k) block(str(name, ".rebnconv", k, "d"), k == 1 ? 64 : 16, 32);
  };
  for (int n = 1; n <= 6; ++n) {
    stage(str("stage", n), heights[n - 1], n == 1 ? 3 : 64);
    if (n < 6) stage(str("stage", n, "d"), heights[n - 1], 128);
    add(str("side", n, ".weight"), {1, 64, 3, 3}, 7);
    add(str("side", n, ".bias"), {1}, 8);
  }
  add("outconv.weight", {1, 6, 1, 1}, 9);
  add("outconv.bias", {1}, 10);
  const ConversionPlan plan = make_plan({c}, {});
  CHECK(plan.description == "U-2-Net-p, 119 convolutions, batch norms folded");
  const double factor = 2 / std::sqrt(4 + 1e-5);
  for (double v : read_values(tensor_of(plan, "stage3d.rebnconv2.conv.weight").parts[0])) CHECK(v == static_cast<float>(3 * factor));
  for (double v : read_values(tensor_of(plan, "stage3d.rebnconv2.conv.bias").parts[0])) CHECK(v == static_cast<float>((5 - 1) * factor + 0.5));
  CHECK(read_values(tensor_of(plan, "side4.weight").parts[0])[0] == 7);
  CHECK(read_values(tensor_of(plan, "outconv.bias").parts[0])[0] == 10);
}
