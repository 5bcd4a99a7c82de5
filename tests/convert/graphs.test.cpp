// OpenVINO and TFLite models (tests/fixtures/make_openvino.py, make_tflite.py) and the networks that are known in them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/files.h"
#include "engine/hashed_tensor.h"
#include "engine/safetensors.h"
#include "tests/convert/fixtures.h"
#include "tests/support/check.h"
#include "tests/support/skip.h"

using namespace g2s;
using namespace g2s::test;
using nlohmann::json;

namespace {

bool ends(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// As tests/oracle/mobilestylegan.py fills the case m16, of one block.
std::vector<float> expected(const std::string& name, const std::vector<std::int64_t>& shape) {
  if (ends(name, ".scale")) {
    const double channels = name.find("layers.0.conv1") == 0 ? 2 : 8, taps = ends(name, "to_img.conv.scale") ? 1 : 9;
    return {static_cast<float>((name[0] == 'c' ? 1 : 1.25) / std::sqrt(taps * channels))};
  }
  double scale = std::sqrt(3.0);
  if (ends(name, "modulation.weight") || (name.find("mapping") == 0 && ends(name, "weight"))) scale /= std::sqrt(static_cast<double>(shape[1]));
  else if (ends(name, ".bias") || ends(name, ".noise")) scale = 0.1;
  const double offset = ends(name, "modulation.bias") ? 1 : 0;
  const Tensor u = hashed_tensor("m16/G/" + name, Shape(shape));
  std::vector<float> values;
  for (std::int64_t i = 0; i < u.numel(); ++i) values.push_back(static_cast<float>(offset + scale * u.data<double>()[i]));
  return values;
}

void check_generator(const RawSafetensors& file) {
  CHECK(file.tensors.size() == 30);
  CHECK(file.metadata.at("kind") == "mobilestylegan");
  CHECK(file.metadata.at("size") == "16");
  CHECK(file.metadata.at("style_width") == "12");
  for (const auto& [name, tensor] : file.tensors) {
    INFO(name);
    CHECK(tensor.dtype == "F32");
    const std::vector<float> want = expected(name, tensor.shape);
    REQUIRE(want.size() * sizeof(float) == tensor.bytes.size());
    CHECK(std::memcmp(want.data(), tensor.bytes.data(), tensor.bytes.size()) == 0);
  }
}

// The texts of mobilestylegan.zip, with their numbers beside them.
std::vector<std::string> unpacked(const TemporaryFolder& folder) {
  std::vector<std::string> models;
  for (const std::string& path : unpacked_archive(folder, "mobilestylegan.zip"))
    if (ends(path, ".xml")) models.push_back(path);
  return models;
}

void refused(const std::vector<std::string>& arguments, const std::vector<std::string>& parts) {
  const Outcome outcome = run_program(arguments);
  INFO(outcome.err);
  CHECK(outcome.code == 1);
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(outcome.err.find(part) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("convert: MobileStyleGAN from an archive of OpenVINO models, and from the models themselves") {
  const TemporaryFolder folder;
  Outcome printed;
  const RawSafetensors archive = read_raw(convert(folder, {fixture("mobilestylegan.zip")}, {}, &printed));
  CHECK(printed.out.find("MobileStyleGAN generator, 16x16, channels 8, 1 mapping layers") != std::string::npos);
  check_generator(archive);
  const std::vector<std::string> models = unpacked(folder);
  REQUIRE(models.size() == 2);
  const RawSafetensors pair = read_raw(convert(folder, models));
  check_generator(pair);
  CHECK(pair.metadata.count("source_xxh128.0.bin") == 1);
  refused({"convert", models[1], folder / "no.safetensors"}, {models[1], "not its mapping"});
  std::filesystem::remove(folder / "SynthesisNetwork.bin");
  refused({"convert", models[0], models[1], folder / "no.safetensors"}, {models[1], ".bin beside it, which is missing"});
}

TEST_CASE("convert: a folder gets a file of the usual name") {
  const TemporaryFolder folder;
  REQUIRE(run_program({"convert", fixture("mobilestylegan.zip"), folder / "new/"}).code == 0);
  CHECK(entries(folder / "new") == std::vector<std::string>{"mobilestylegan.safetensors"});
  refused({"convert", fixture("mobilestylegan.zip"), folder / "new"}, {"new/mobilestylegan.safetensors: is there already; --force replaces it"});
  REQUIRE(run_program({"convert", "--force", fixture("mobilestylegan.zip"), folder / "new"}).code == 0);
  refused({"convert", fixture("small.onnx"), folder / "new"}, {"is a folder", "tensors"});
  CHECK(entries(folder / "new").size() == 1);
}

TEST_CASE("convert: a head takes the place of MobileStyleGAN's last block") {
  const TemporaryFolder folder;
  const std::string whole = convert(folder, {fixture("mobilestylegan.zip")});
  const SafetensorsFile file(whole);
  NamedTensors head, other;
  for (const auto& entry : file.entries()) {
    if (entry.name.find("layers.0.") != 0) continue;
    head.emplace_back(entry.name, hashed_input("head/" + entry.name, entry.shape));
    other.emplace_back("layers.1." + entry.name.substr(9), head.back().second);
  }
  write_safetensors(folder / "head.safetensors", head);
  Outcome printed;
  const SafetensorsFile cut(convert(folder, {whole, folder / "head.safetensors"}, {}, &printed));
  CHECK(printed.out.find("cut and with a head of its own") != std::string::npos);
  CHECK(cut.entries().size() == file.entries().size());
  for (const auto& [name, tensor] : head) CHECK(same_bits(cut.get(name), tensor));
  CHECK(same_bits(cut.get("conv1.noise"), file.get("conv1.noise")));
  write_safetensors(folder / "other.safetensors", other);
  refused({"convert", whole, folder / "other.safetensors", folder / "no.safetensors"}, {"other.safetensors", "block 1"});
  head.pop_back();
  write_safetensors(folder / "head.safetensors", head);
  refused({"convert", whole, folder / "head.safetensors", folder / "no.safetensors"}, {"layers.0.", "is missing"});
}

TEST_CASE("convert: what is not quite MobileStyleGAN is refused by its layer") {
  const TemporaryFolder folder;
  const std::vector<std::string> models = unpacked(folder);
  const std::string mapping = read_file(models[0]), synthesis = read_file(models[1]);
  auto edited = [&](std::string text, const std::string& from, const std::string& to, const std::vector<std::string>& parts) {
    CAPTURE(from);
    const std::size_t at = text.rfind(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
    const bool is_mapping = text.find("SynthesisNetwork") == std::string::npos;
    write_file(models[0], is_mapping ? text : mapping);
    write_file(models[1], is_mapping ? synthesis : text);
    std::vector<std::string> all = {is_mapping ? models[0] : models[1], "not quite MobileStyleGAN"};
    all.insert(all.end(), parts.begin(), parts.end());
    refused({"convert", models[0], models[1], folder / "no.safetensors"}, all);
  };
  edited(synthesis, "strides=\"2, 1\"", "strides=\"1, 2\"", {"GroupConvolutionBackpropData", "2,1 is expected"});
  edited(synthesis, "type=\"Squeeze\"", "type=\"Abs\"", {"is Abs where Squeeze is expected"});
  edited(synthesis, "transpose_b=\"true\"", "transpose_b=\"false\"", {"transpose_b"});
  edited(synthesis, "pads_begin=\"1, 1\"", "pads_begin=\"0, 0\"", {"pads_begin"});
  edited(mapping, "transpose_b=\"true\"", "transpose_b=\"false\"", {"transpose_b"});
  edited(mapping, "type=\"ReduceMean\"", "type=\"ReduceMax\"", {"ReduceMax"});
}

TEST_CASE("convert: TFLite's constants stay as they are stored, its operators become JSON") {
  const TemporaryFolder folder;
  const RawSafetensors file = read_raw(convert(folder, {fixture("small.tflite")})), want = read_raw(fixture("tflite_expected.safetensors"));
  CHECK(file.tensors.size() == want.tensors.size());
  for (const auto& [name, tensor] : want.tensors) {
    INFO(name);
    REQUIRE(file.tensors.count(name) == 1);
    CHECK(file.tensors.at(name) == tensor);
  }
  const json graph = json::parse(file.metadata.at("graph"));
  std::string names;
  for (const json& op : graph.at("operators")) names += op.at("op").get<std::string>() + " ";
  CHECK(names == "CONV_2D DEPTHWISE_CONV_2D ADD PRELU PAD MAX_POOL_2D RESHAPE ");
  CHECK(graph["inputs"] == json::parse(R"([{"name": "input", "shape": [1, 4, 4, 3]}])"));
  CHECK(graph["outputs"] == json::parse(R"([{"name": "flat", "shape": [1, 6]}])"));
  CHECK(graph["operators"][0] == json::parse(R"({"op": "CONV_2D", "inputs": ["input", "conv/Kernel", "conv/Bias"], "outputs": ["conv"], "shapes": [[1, 2, 2, 4]],
    "options": {"padding": "same", "stride": [2, 2], "activation": "relu", "dilation": [1, 1]}})"));
  CHECK(graph["operators"][5]["options"] == json::parse(R"({"padding": "valid", "stride": [2, 2], "filter": [2, 2], "activation": "none"})"));
}

TEST_CASE("convert: the shipped networks for faces are told by their graphs") {
  const Outcome detector = run_program({"info", source_path("assets/face_detector.safetensors")});
  CHECK(detector.out.find("face detector, 256x256, 896 boxes, 144 operators") != std::string::npos);
  const Outcome landmarks = run_program({"info", source_path("assets/face_landmarks.safetensors")});
  CHECK(landmarks.out.find("face landmarks, 192x192, 468 points, 97 operators") != std::string::npos);
}

TEST_CASE("convert: the published MobileStyleGAN") {
  const char* checkpoints = std::getenv("G2S_CHECKPOINTS");
  const std::string wheel = str(checkpoints ? checkpoints : "", "/random_face-2021.7.21.1-py3-none-any.whl");
  if (!checkpoints || !std::filesystem::exists(wheel))
    return skip("the wheel random-face is not at hand (G2S_CHECKPOINTS names the folder that has it, see docs/checkpoints.md)");
  const TemporaryFolder folder;
  Outcome printed;
  const RawSafetensors whole = read_raw(convert(folder, {wheel}, {}, &printed));
  CHECK(printed.out.find("1024x1024, channels 512 512 512 512 256 128 64, 8 mapping layers") != std::string::npos);
  CHECK(whole.tensors.size() == 140);
  for (const auto& [name, size, count] : {std::tuple("ffhq128", "128", 92u), std::tuple("ffhq256", "256", 108u)}) {
    const RawSafetensors cut = read_raw(convert(folder, {wheel, source_path(str("assets/", name, "_head.safetensors"))}));
    CHECK(cut.metadata.at("size") == size);
    CHECK(cut.tensors.size() == count);
  }
}

TEST_CASE("make faces: without pip, or with another wheel, it says so and writes nothing") {
  const TemporaryFolder folder;
  const RunOptions options{.program = "/bin/sh", .settings = {"PYTHON=false"}};
  const std::vector<std::string> command = {source_path("tools/faces.sh"), folder / "build", folder / "weights"};
  const Outcome no_pip = run_program(command, options);
  CHECK(no_pip.code == 1);
  CHECK(no_pip.err.find("pip download --no-deps random-face==2021.7.21.1") != std::string::npos);
  write_file(folder / "build/faces/random_face-2021.7.21.1-py3-none-any.whl", "another");
  const Outcome other = run_program(command, options);
  CHECK(other.code == 1);
  CHECK(other.err.find("SHA-256") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / "weights"));
}
