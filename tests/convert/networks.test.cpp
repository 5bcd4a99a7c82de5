// Networks besides StyleGAN2: their kinds are told, their names are ours, their numbers are exact.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "engine/autograd.h"
#include "engine/error.h"
#include "engine/hashed_tensor.h"
#include "engine/safetensors.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/shape/shape.h"
#include "models/lpips.h"
#include "models/u2netp.h"
#include "tests/convert/fixtures.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// make_modules.py: common.py's stepped(name, shape, 1).
void check_stepped(const RawTensor& tensor, const std::string& name) {
  INFO(name);
  const Tensor u = hashed_tensor(name, Shape(tensor.shape));
  REQUIRE(tensor.dtype == "F32");
  REQUIRE(tensor.bytes.size() == static_cast<std::size_t>(u.numel()) * sizeof(float));
  bool same = true;
  for (std::int64_t i = 0; i < u.numel(); ++i) {
    float value = 0;
    std::memcpy(&value, tensor.bytes.data() + i * static_cast<std::int64_t>(sizeof(float)), sizeof value);
    same = same && value == static_cast<float>(std::nearbyint(u.data<double>()[i] * 16) / 16);
  }
  CHECK(same);
}

void check_kind(const Outcome& printed, const std::string& description) {
  INFO(printed.out << printed.err);
  CHECK((printed.out + printed.err).find(description) != std::string::npos);
}

bool has_bytes_of(const RawSafetensors& got, const std::string& path) { return got.tensors == read_raw(path).tensors; }

// Files that are not ours to ship: the folder that G2S_CHECKPOINTS names has them.
std::optional<std::string> foreign(const std::string& name) {
  const char* folder = std::getenv("G2S_CHECKPOINTS");
  const std::string path = folder ? str(folder, "/", name) : "";
  if (folder && std::filesystem::exists(path)) return path;
  skip(str(name, " is not at hand (G2S_CHECKPOINTS names the folder that has it, see docs/checkpoints.md)"));
  return std::nullopt;
}

// Against the package lpips in PyTorch (make_lpips.py).
void check_lpips(const std::string& weights, const std::string& key) {
  NoGrad no_grad;
  const Lpips lpips((SafetensorsFile(weights)));
  const Tensor want = SafetensorsFile(fixture("lpips_expected.safetensors")).get(key);
  std::int64_t next = 0;
  for (std::int64_t size : {64, 96}) {
    const Tensor a = nchw_to_nhwc(hashed_input(str("lpips/", size, "/a"), {2, 3, size, size})),
                 b = nchw_to_nhwc(hashed_input(str("lpips/", size, "/b"), {2, 3, size, size}));
    const Tensor got = lpips.distance(lpips.features(a), lpips.features(a * 0.7 + b * 0.3));
    for (std::int64_t i = 0; i < got.numel(); ++i, ++next) {
      INFO(key << " " << size << " pixels, picture " << i);
      CHECK(std::abs(got.data<float>()[i] - want.data<double>()[next]) < 1e-5 * want.data<double>()[next]);
    }
  }
  CHECK(next == want.numel());
}

}  // namespace

TEST_CASE("convert: the face parser, with its counters left out") {
  const TemporaryFolder folder;
  Outcome printed;
  const RawSafetensors file = read_raw(convert(folder, {fixture("bisenet.pth")}, {}, &printed));
  check_kind(printed, "BiSeNet, 19 classes");
  CHECK(file.tensors.size() == 6);
  CHECK(file.metadata.at("kind") == "bisenet");
  for (const auto& [name, tensor] : file.tensors) check_stepped(tensor, "bisenet/" + name);
}

TEST_CASE("convert: the scene parser, unwrapped") {
  const TemporaryFolder folder;
  Outcome printed;
  const RawSafetensors file = read_raw(convert(folder, {fixture("pspnet.pth")}, {}, &printed));
  check_kind(printed, "PSPNet, 21 classes");
  CHECK(file.tensors.size() == 6);
  for (const auto& [name, tensor] : file.tensors) check_stepped(tensor, "pspnet/" + name);
}

TEST_CASE("convert: the networks of the method, without optimisers") {
  const TemporaryFolder folder;
  Outcome printed;
  const RawSafetensors file = read_raw(convert(folder, {fixture("gan2shape_nets.pth")}, {}, &printed));
  check_kind(printed, "GAN2Shape networks netD netA netV netL netEnc, 64x64");
  CHECK(file.tensors.size() == 15);
  for (const auto& [name, tensor] : file.tensors) {
    const std::size_t dot = name.find('.');
    check_stepped(tensor, name.substr(0, dot) + "/" + name.substr(dot + 1));
  }
}

TEST_CASE("convert: features and heads of LPIPS come from two files") {
  const TemporaryFolder folder;
  const std::string asset = source_path("assets/lpips_vgg.safetensors"), heads = fixture("lpips_heads.pth");
  // The shipped file has heads of its own; those that come alone win.
  Outcome printed;
  const RawSafetensors both = read_raw(convert(folder, {asset, heads}, {}, &printed)), shipped = read_raw(asset);
  check_kind(printed, "LPIPS on VGG16");
  CHECK(both.tensors.size() == shipped.tensors.size());
  for (int i = 0; i < 5; ++i) check_stepped(both.tensors.at(str("lin", i, ".weight")), str("lpips/lin", i));
  CHECK(both.tensors.at("net.features.28.weight") == shipped.tensors.at("net.features.28.weight"));
  CHECK(read_raw(convert(folder, {heads, asset})).tensors == both.tensors);
  const Outcome alone = run_program({"convert", heads, folder / "no.safetensors"});
  CHECK(alone.code == 1);
  CHECK(alone.err.find("no features of VGG16") != std::string::npos);
}

TEST_CASE("convert: halves for LPIPS and U-2-Net-p are the convolutions' weights alone") {
  const TemporaryFolder folder;
  for (const std::string name : {"assets/lpips_vgg.safetensors", "assets/u2netp.safetensors"}) {
    INFO(name);
    const std::string full = convert(folder, {source_path(name)}, {"--dtype", "f32"});
    for (const auto& [tensor_name, tensor] : read_raw(full).tensors) CHECK(tensor.dtype == "F32");
    CHECK(has_bytes_of(read_raw(convert(folder, {full}, {"--dtype", "f16"})), source_path(name)));
  }
}

TEST_CASE("convert: U-2-Net-p from ONNX equals the shipped file") {
  const std::optional<std::string> onnx = shared_path("weights/u2netp.onnx");
  if (!onnx) return;
  const TemporaryFolder folder;
  Outcome printed;
  const std::string out = convert(folder, {*onnx}, {"--dtype", "f16"}, &printed);
  check_kind(printed, "U-2-Net-p, 119 convolutions");
  CHECK(has_bytes_of(read_raw(out), source_path("assets/u2netp.safetensors")));
  U2NetP network((SafetensorsFile(out)));
}

TEST_CASE("convert: LPIPS from the shipped halves equals PyTorch's") { check_lpips(source_path("assets/lpips_vgg.safetensors"), "float16"); }

TEST_CASE("convert: the published features and heads of LPIPS make the shipped file") {
  const std::optional<std::string> features = foreign("vgg16.ckpt"), heads = foreign("vgg.pth");
  if (!features || !heads) return;
  const TemporaryFolder folder;
  const std::string out = convert(folder, {*features, *heads}, {"--dtype", "f16"});
  CHECK(has_bytes_of(read_raw(out), source_path("assets/lpips_vgg.safetensors")));
  check_lpips(out, "float16");
  check_lpips(convert(folder, {*features, *heads}), "float32");
}
