// One set of weights in three layouts: after conversion every tensor has the bits it was made with, and our networks compute what each layout's
// own rules do (tests/fixtures/make_stylegan2.py).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/autograd.h"
#include "engine/safetensors.h"
#include "kernels/shape/shape.h"
#include "models/stylegan2_discriminator.h"
#include "models/stylegan2_generator.h"
#include "tests/convert/fixtures.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

struct StyleCase {
  const char* name;
  std::int64_t size, style;
  const char* generator;      // what is printed
  const char* discriminator;
};
const StyleCase cases[] = {
    {"s64", 64, 24, "StyleGAN2 generator, 64x64, channels 16 16 12 10 8, 8 mapping layers, W mean present",
     "StyleGAN2 discriminator, 64x64, channels 16 16 12 10 8"},
    {"s128", 128, 16, "StyleGAN2 generator, 128x128, channels 12 12 12 10 8 6, 8 mapping layers, W mean present",
     "StyleGAN2 discriminator, 128x128, channels 12 12 12 10 8 6"},
    {"s256", 256, 16, "StyleGAN2 generator, 256x256, channels 12 10 10 8 8 6 4, 8 mapping layers, W mean present",
     "StyleGAN2 discriminator, 256x256, channels 12 10 10 8 8 6 4"},
    {"narrow", 64, 10, "StyleGAN2 generator, 64x64, channels 8 7 6 5 4, 2 mapping layers, W mean present",
     "StyleGAN2 discriminator, 64x64, channels 8 7 6 5 4"},
};
const char* const layouts[] = {"rosinality.pt", "ada.pkl", "tensorflow.pkl"};

bool begins(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }
bool ends(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

struct Rule {
  double scale, offset = 0, step = 1.0 / 16;
};

// As make_stylegan2.py has them.
Rule rule_of(const std::string& name) {
  if (begins(name, "style.")) return ends(name, ".weight") ? Rule{std::sqrt(3.0) / 0.01, 0, 1} : Rule{20};
  if (name == "input.input") return {2};
  if (ends(name, "modulation.weight")) return {1};
  if (ends(name, "modulation.bias")) return {0.5, 1};
  if (begins(name, "to_rgb")) return ends(name, ".bias") ? Rule{0.3} : Rule{0.7};
  if (ends(name, "noise.weight")) return {0.3, 0.1};
  if (begins(name, "noises.")) return {1.5, 0, 0.5};
  if (name == "convs.0.0.weight") return {1.5};
  if (ends(name, ".conv.weight")) return {std::sqrt(3.0)};
  return ends(name, ".weight") ? Rule{1.7} : Rule{0.5};
}

std::string expected_bytes(const StyleCase& c, const std::string& name, const std::vector<std::int64_t>& shape) {
  const Rule rule = rule_of(name);
  const Tensor u = hashed(str(c.name, "/", name), Shape(shape));
  std::string bytes(static_cast<std::size_t>(u.numel()) * sizeof(float), '\0');
  for (std::int64_t i = 0; i < u.numel(); ++i) {
    const auto value = static_cast<float>(std::nearbyint((rule.offset + rule.scale * u.data<double>()[i]) / rule.step) * rule.step);
    std::memcpy(bytes.data() + i * static_cast<std::int64_t>(sizeof(float)), &value, sizeof value);
  }
  return bytes;
}

// Zeros of either sign count as the same: a style bias of 0 is stored as -1 in one of the layouts.
void check_tensors(const StyleCase& c, const std::string& path) {
  const RawSafetensors file = read_raw(path);
  for (const auto& [name, tensor] : file.tensors) {
    INFO(name);
    CHECK(tensor.dtype == "F32");
    std::string want = expected_bytes(c, name, tensor.shape), got = tensor.bytes;
    REQUIRE(want.size() == got.size());
    for (std::string* bytes : {&want, &got})
      for (std::size_t i = 0; i < bytes->size(); i += 4)
        if (std::memcmp(bytes->data() + i, "\0\0\0\x80", 4) == 0) (*bytes)[i + 3] = 0;
    CHECK(want == got);
  }
}

const SafetensorsFile& expectations() {
  static const SafetensorsFile file(fixture("stylegan2_expected.safetensors"));
  return file;
}

double error_of(const StyleCase& c, const std::string& what, const Tensor& got) {
  const Tensor want = expectations().get(str(c.name, "/", what));
  return rel_error(fixture_sketch(got), want.reshape({want.numel()}));
}

double max_error(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(DType::f64), y = b.to(DType::f64);
  double worst = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) worst = std::max(worst, std::abs(x.data<double>()[i] - y.data<double>()[i]));
  return worst;
}

// The picture at every (size/32)-th pixel, as the fixture keeps it.
Tensor sampled(const Tensor& nchw) {
  const std::int64_t side = nchw.dim(2), step = side / 32;
  Tensor out = Tensor::zeros({nchw.dim(0), 3, 32, 32});
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    const std::int64_t x = i % 32, y = i / 32 % 32, plane = i / (32 * 32);
    out.mutable_data<float>()[i] = nchw.data<float>()[(plane * side + y * step + step / 2) * side + x * step + step / 2];
  }
  return out;
}

void check_generator(const StyleCase& c, const std::string& path) {
  NoGrad no_grad;
  const StyleGan2Generator g = StyleGan2Generator::load(SafetensorsFile(path));
  CHECK(g.config().size == c.size);
  REQUIRE(g.latent_avg());
  const Tensor picture = nhwc_to_nchw(g.synthesis(hashed_input(str(c.name, "/w"), {2, c.style})));
  CHECK(max_error(sampled(picture), expectations().get(str(c.name, "/sample"))) < 1e-5);
  CHECK(error_of(c, "picture", picture) < 1e-5);
  CHECK(error_of(c, "mapping", g.mapping(hashed_input(str(c.name, "/z"), {3, c.style}))) < 1e-5);
}

void check_discriminator(const StyleCase& c, const std::string& path) {
  NoGrad no_grad;
  const StyleGan2Discriminator d = StyleGan2Discriminator::load(SafetensorsFile(path));
  const Tensor x = nchw_to_nhwc(hashed_input(str(c.name, "/x"), {4, 3, c.size, c.size}));
  const std::vector<Tensor> features = d.features(x, d.config().blocks());
  for (std::size_t i = 0; i < features.size(); ++i) {
    INFO("block " << i);
    CHECK(error_of(c, str("feature", i), nhwc_to_nchw(features[i])) < 1e-5);
  }
  CHECK(error_of(c, "logits", d.logits(x)) < 1e-5);
}

}  // namespace

TEST_CASE("convert: StyleGAN2 generators in three layouts give the same picture") {
  const TemporaryFolder folder;
  for (const StyleCase& c : cases) {
    for (const char* layout : layouts) {
      INFO(c.name << " " << layout);
      Outcome printed;
      const std::string out = convert(folder, {unpacked_fixture(folder, str("stylegan2_", c.name, "_", layout))}, {}, &printed);
      CHECK((printed.out + printed.err).find(c.generator) != std::string::npos);
      check_tensors(c, out);
      check_generator(c, out);
    }
  }
}

TEST_CASE("convert: StyleGAN2 discriminators in three layouts give the same features and logits") {
  const TemporaryFolder folder;
  for (const StyleCase& c : cases) {
    for (const char* layout : layouts) {
      INFO(c.name << " " << layout);
      Outcome printed;
      const std::string in = unpacked_fixture(folder, str("stylegan2_", c.name, "_", layout));
      const std::string out = convert(folder, {in}, {"--kind", "stylegan2-discriminator"}, &printed);
      CHECK((printed.out + printed.err).find(c.discriminator) != std::string::npos);
      check_tensors(c, out);
      check_discriminator(c, out);
    }
  }
}

TEST_CASE("convert: another network of the file can be asked for") {
  const TemporaryFolder folder;
  const std::vector<std::pair<const char*, const char*>> wanted = {{"rosinality.pt", "g"}, {"ada.pkl", "G"}, {"tensorflow.pkl", "G"}};
  for (const auto& [layout, network] : wanted) {
    INFO(layout);
    const std::string in = unpacked_fixture(folder, str("stylegan2_narrow_", layout));
    const RawSafetensors file = read_raw(convert(folder, {in}, {"--network", network}));
    const RawTensor& weight = file.tensors.at("convs.1.conv.weight");
    float first = 0;
    std::memcpy(&first, weight.bytes.data(), sizeof first);
    CHECK(first == 0.25f);  // what the fixtures' other networks are full of
    CHECK(run_program({"convert", in, folder / "no.safetensors", "--network", "H"}).code == 1);
  }
}

TEST_CASE("convert: metadata says what a generator is") {
  const TemporaryFolder folder;
  const std::string in = unpacked_fixture(folder, "stylegan2_s128_tensorflow.pkl");
  Outcome printed;
  const RawSafetensors file = read_raw(convert(folder, {in}, {"--dtype", "f16"}, &printed));
  CHECK(printed.out.find("the file has a discriminator too: --kind stylegan2-discriminator converts it") != std::string::npos);
  CHECK(file.metadata.at("kind") == "stylegan2-generator");
  CHECK(file.metadata.at("size") == "128");
  CHECK(file.metadata.at("style_width") == "16");
  CHECK(file.metadata.at("mapping_layers") == "8");
  CHECK(file.metadata.at("layout") == "NVlabs/stylegan2 (TensorFlow)");
  for (const auto& [name, tensor] : file.tensors) {
    INFO(name);
    CHECK(tensor.dtype == "F16");
  }
}
