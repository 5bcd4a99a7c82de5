// Files that look like what can be converted: each is converted right, or refused by what it is; never converted into something else.
#include <doctest/doctest.h>

#include <filesystem>
#include <limits>

#include "engine/error.h"
#include "engine/files.h"
#include "engine/safetensors.h"
#include "tests/convert/fixtures.h"
#include "tests/support/check.h"
#include "weights_converter/checkpoint.h"

using namespace g2s;
using namespace g2s::test;
namespace reader = g2s::convert;

namespace {

// A .safetensors file with small tensors of these names and shapes.
std::string file_with(const TemporaryFolder& folder, const std::vector<std::pair<std::string, Shape>>& tensors) {
  NamedTensors all;
  for (const auto& [name, shape] : tensors) all.emplace_back(name, Tensor::zeros(shape));
  const std::string path = folder / "in.safetensors";
  write_safetensors(path, all);
  return path;
}

std::string unpacked_fork(const TemporaryFolder& folder, const std::string& name) {
  for (const std::string& path : unpacked_archive(folder, "forks.zip"))
    if (path.ends_with("/" + name + ".pkl")) return path;
  fail(Errc::io, name, "is not in forks.zip");
}

// Refused in one sentence that has all the parts, and nothing was written.
void refused(const TemporaryFolder& folder, const std::string& in, const std::vector<std::string>& options,
             const std::vector<std::string>& parts, const std::string& out_name = "out.safetensors") {
  std::vector<std::string> arguments = {"convert", in, folder / out_name};
  arguments.insert(arguments.end(), options.begin(), options.end());
  const Outcome outcome = run_program(arguments);
  INFO(outcome.err);
  CHECK(outcome.code == 1);
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(outcome.err.find(part) != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(folder / out_name));
}

const std::vector<std::string> discriminator = {"--kind", "stylegan2-discriminator"};

}  // namespace

TEST_CASE("convert: a generator of another family is refused by its name, and no other network of the file is taken for it") {
  const TemporaryFolder folder;
  refused(folder, unpacked_fork(folder, "stylegan3"), {}, {"stylegan3.pkl", "has a StyleGAN3 generator", "--kind stylegan2-discriminator"});
  const std::pair<const char*, std::vector<std::pair<std::string, Shape>>> others[] = {
      {"StyleGAN2 generator in the layout of genforce",
       {{"generator_smooth.synthesis.early_layer.const", {1, 2, 4, 4}}, {"generator_smooth.truncation.w_avg", {4}}}},
      {"the first, in the layout of genforce", {{"truncation.w_avg", {4}}, {"synthesis.lod", {1}}}},
      {"lucidrains",
       {{"GAN.G.initial_block", {1, 2, 4, 4}}, {"GAN.G.blocks.0.to_style1.weight", {2, 2}}, {"GAN.G.blocks.0.to_noise1.weight", {2, 1}}}},
      {"SWAGAN", {{"g_ema.input.input", {1, 2, 4, 4}}, {"g_ema.iwt.ll", {2, 2}}, {"g_ema.to_rgb1.conv.weight", {1, 12, 2, 1, 1}}}},
      {"StyleGAN, the first", {{"Gs.synthesis.4x4/Const/const", {1, 2, 4, 4}}, {"Gs.synthesis.4x4/Const/StyleMod/weight", {4, 4}}}},
      {"EG3D", {{"G_ema.backbone.synthesis.b4.const", {2, 4, 4}}, {"G_ema.backbone.decoder.net.0.weight", {2, 2}}}}};
  for (const auto& [title, tensors] : others) {
    CAPTURE(title);
    refused(folder, file_with(folder, tensors), {}, {"in.safetensors", title});
  }
}

TEST_CASE("convert: a fork that computes something else is refused by what it does otherwise") {
  const TemporaryFolder folder;
  refused(folder, unpacked_fork(folder, "relu"), discriminator, {"relu.pkl", "activation relu of D.b8.conv0", "lrelu"});
  refused(folder, unpacked_fork(folder, "box"), discriminator, {"D.b8.conv1.resample_filter", "another blur"});
  refused(folder, unpacked_fork(folder, "architecture"), discriminator, {"architecture orig of D.b8"});
  refused(folder, unpacked_fork(folder, "labels"), discriminator, {"10 classes", "class-conditional"});
  refused(folder, unpacked_fork(folder, "grey"), discriminator, {"1 channel (grey)", "RGB"});
  refused(folder, unpacked_fork(folder, "grey"), {}, {"torgb.weight", "1 channel (grey)", "RGB"});
  refused(folder, unpacked_fork(folder, "wide"), {}, {"synthesis.b4.const", "4 x 8", "not square"});
}

TEST_CASE("convert: a generator beside modules of ordinary PyTorch is converted") {
  const TemporaryFolder folder;
  Outcome printed;
  const RawSafetensors file = read_raw(::g2s::test::convert(folder, {unpacked_fork(folder, "plain")}, {}, &printed));
  CHECK(file.metadata.at("kind") == "stylegan2-generator");
  CHECK(file.tensors.at("conv1.conv.weight").shape == std::vector<std::int64_t>{1, 4, 4, 3, 3});
  CHECK(printed.out.find("pg_modules.discriminator.Plain") != std::string::npos);
}

TEST_CASE("convert: tensors of no known network do not get the name of one") {
  const TemporaryFolder folder;
  const std::string in = file_with(folder, {{"x", {2, 2}}});
  refused(folder, in, {}, {"stylegan2_g.safetensors", "name of a stylegan2-generator", "no network that is known"},
          "stylegan2_g.safetensors");
  CHECK(run_program({"convert", in, folder / "stylegan2_g.safetensors", "--kind", "tensors"}).code == 0);
  CHECK(run_program({"convert", in, folder / "anything.safetensors"}).code == 0);
}

TEST_CASE("convert: numbers that are not finite, or become infinite, are an error that names the first") {
  const TemporaryFolder folder;
  Tensor large = Tensor::full({2, 3}, 1.f), none = Tensor::full({4}, 1.f);
  large.mutable_data<float>()[4] = -65520.f;
  none.mutable_data<float>()[1] = std::numeric_limits<float>::quiet_NaN();
  write_safetensors(folder / "large.safetensors", {{"a", Tensor::full({2}, 65504.f)}, {"b", large}});
  write_safetensors(folder / "none.safetensors", {{"c", none}});
  refused(folder, folder / "large.safetensors", {"--dtype", "f16"},
          {"large.safetensors", "tensor b", "number 4 is -65520", "infinite as f16", "--allow-nonfinite"});
  refused(folder, folder / "none.safetensors", {}, {"none.safetensors", "tensor c", "number 1 is nan", "not finite"});
  CHECK(run_program({"convert", folder / "large.safetensors", folder / "bf16.safetensors", "--dtype", "bf16"}).code == 0);
  const RawSafetensors file =
      read_raw(::g2s::test::convert(folder, {folder / "large.safetensors"}, {"--dtype", "f16", "--allow-nonfinite"}));
  CHECK(file.tensors.at("b").bytes.substr(8, 2) == std::string("\x00\xfc", 2));
  CHECK(file.tensors.at("a").bytes.substr(0, 2) == std::string("\xff\x7b", 2));
}

TEST_CASE("convert: everything that PyTorch saves is read, or named where it is left out") {
  const auto file = reader::open_checkpoint(fixture("torch2_others.pt"));
  for (const char* name : {"plain", "tagged", "parameter", "thing.tensor", "settings.inner", "default.inner", "array"}) {
    CAPTURE(name);
    REQUIRE(file->find(name));
    CHECK(reader::read_values(*file->find(name)) == std::vector<double>{1, 2, 3});
  }
  using enum reader::NumberType;
  const std::pair<const char*, reader::NumberType> bytes[] = {{"float8_e4m3fn", f8_e4m3},
                                                              {"float8_e5m2", f8_e5m2},
                                                              {"float8_e4m3fnuz", f8_e4m3fnuz},
                                                              {"float8_e5m2fnuz", f8_e5m2fnuz},
                                                              {"float8_e8m0fnu", f8_e8m0}};
  for (const auto& [name, type] : bytes) {
    CAPTURE(name);
    REQUIRE(file->find(name));
    CHECK(file->find(name)->type == type);
  }
  CHECK(file->tensors.size() == 12);
  CHECK(file->unread.at("sparse") == "a sparse tensor");
  CHECK(file->unread.at("quantised") == "a quantised tensor");
  CHECK(file->unread.at("meta").find("without numbers") != std::string::npos);
  const TemporaryFolder folder;
  Outcome printed;
  ::g2s::test::convert(folder, {fixture("torch2_others.pt")}, {}, &printed);
  CHECK(printed.out.find("sparse is a sparse tensor: it is left out") != std::string::npos);
}

TEST_CASE("convert: an archive with bytes behind its end is read") {
  const TemporaryFolder folder;
  write_file(folder / "longer.pt", read_file(fixture("torch2_zip.pt"), 1 << 30) + std::string(300, 'x'));
  const RawSafetensors longer = read_raw(::g2s::test::convert(folder, {folder / "longer.pt"}, {"--allow-nonfinite"})),
                       whole = read_raw(::g2s::test::convert(folder, {fixture("torch2_zip.pt")}, {"--allow-nonfinite"}));
  CHECK(longer.tensors == whole.tensors);
}

TEST_CASE("info: one file that cannot be read does not hide the others") {
  const TemporaryFolder folder;
  const std::string a = file_with(folder, {{"x", {2, 2}}});
  const Outcome outcome = run_program({"info", a, folder / "absent.pt", fixture("torch2_zip.pt")});
  CHECK(outcome.code == 1);
  CHECK(outcome.out.find("in.safetensors: ") != std::string::npos);
  CHECK(outcome.out.find("torch2_zip.pt: ") != std::string::npos);
  CHECK(outcome.err.find("absent.pt") != std::string::npos);
}

TEST_CASE("reconstruct: a generator whose style is not 512 wide is refused before the fit") {
  const TemporaryFolder folder;
  const std::string in = unpacked_fixture(folder, "stylegan2_s64_ada.pkl"), weights = folder / "weights/";
  REQUIRE(run_program({"convert", in, weights}).code == 0);
  REQUIRE(run_program({"convert", in, weights, "--kind", "stylegan2-discriminator"}).code == 0);
  CHECK(run_program({"generate", "--weights", weights, "--count", "1", "--out", folder / "drawn"}).code == 0);
  const std::string picture = source_path("assets/heads/000_64.png");
  const Outcome fit = run_program({"reconstruct", picture, "--weights", weights, "--scale", "0.01", "--out", folder / "fitted"});
  CHECK(fit.code == 1);
  CHECK(fit.err.find("stylegan2_g.safetensors: the generator's style is 24 numbers wide") != std::string::npos);
  CHECK(entries(folder / "fitted").empty());
}
