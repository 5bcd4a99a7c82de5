// What the program does when it is used as it should be.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "engine/image.h"
#include "engine/npy.h"
#include "engine/safetensors.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string head(const std::string& name) { return source_path("assets/heads/" + name); }

json json_of(const Outcome& outcome) {
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return json::parse(outcome.out);
}

// White where the true depth is.
void write_truth_mask(const std::string& path, const std::string& depth) {
  Tensor d = read_grey(depth), mask = Tensor::empty(d.shape(), DType::u8);
  for (std::int64_t i = 0; i < d.numel(); ++i) mask.mutable_data<std::uint8_t>()[i] = d.data<float>()[i] > 0 ? 255 : 0;
  write_png(path, mask);
}

// The shortest fit: one iteration of every phase, no projection.
std::vector<std::string> short_fit(const TemporaryFolder& folder, const std::string& out) {
  write_truth_mask(folder / "mask.png", head("004_64_depth.png"));
  write_npy(folder / "latent.npy", hashed_input("cli/latent", {512}, DType::f32, 0.5));
  return {"reconstruct", head("004_64.png"), "--mask", folder / "mask.png", "--latent", folder / "latent.npy", "--truth", head("004_64_depth.png"),
          "--scale", "0.001", "--out", out};
}

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

TEST_CASE("cli: info tells about the program and files, from any working directory") {
  const json info = json_of(run_program({"info", "--json"}, {.folder = "/tmp"}));
  CHECK(info.at("presets") == json({"car", "cat", "church", "default", "face", "ffhq", "synface"}));
  CHECK(info.at("weights").size() == 6);
  CHECK(info.at("weights")[4].at("kind") == "face-detector");
  CHECK(info.at("weights")[5].at("kind") == "face-landmarks");
  CHECK(info.at("weights")[0].at("size") == 64);
  const json files = json_of(run_program({"info", "--json", head("000_128_depth.png"), source_path("tests/images/exif6.jpg")})).at("files");
  CHECK(files[0].at("bits") == 16);
  CHECK(files[1].at("orientation") == 6);
  CHECK(run_program({"info"}).out.find("StyleGAN2 generator") != std::string::npos);
  CHECK(run_program({"info", head("absent.png")}).code == 1);
  CHECK(run_program({"info"}, {.settings = {"GAN2SHAPE_ASSETS=/nowhere"}}).err.find("/nowhere") != std::string::npos);
}

TEST_CASE("cli: generate draws the same pictures from W, W+, .npy and .safetensors, at any number of threads") {
  TemporaryFolder folder;
  Tensor w = hashed_input("cli/w", {3, 512}, DType::f32, 0.5), plus = Tensor::empty({3, 10, 512});
  for (std::int64_t n = 0; n < 3; ++n)
    for (std::int64_t l = 0; l < 10; ++l) std::copy_n(w.data<float>() + n * 512, 512, plus.mutable_data<float>() + (n * 10 + l) * 512);
  write_npy(folder / "w.npy", w);
  write_safetensors(folder / "plus.safetensors", {{"other", Tensor::zeros({1})}, {"latent", plus}});
  auto raw = [&](const std::string& latent, const char* threads) {
    const Outcome outcome = run_program({"generate", "--latent", folder / latent, "--raw", "--force", "--out", folder / "raw", "--threads", threads});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return read_npy(folder / "raw/images.npy");
  };
  const Tensor one = raw("w.npy", "1");
  CHECK(one.shape() == Shape{3, 64, 64, 3});
  CHECK(same_bits(one, raw("w.npy", "3")));
  CHECK(rel_error(raw("plus.safetensors", "2"), one) < 1e-6);

  REQUIRE(run_program({"generate", "--latent", folder / "w.npy", "--out", folder / "png"}).code == 0);
  CHECK(entries(folder / "png") == std::vector<std::string>{"0000.png", "0001.png", "0002.png", "latents.npy"});
  CHECK(same_bits(read_npy(folder / "png/latents.npy"), w));
  const Tensor shown = image_to_pixels(one), read = read_image(folder / "png/0002.png").rgb;
  CHECK(std::equal(read.data<std::uint8_t>(), read.data<std::uint8_t>() + read.numel(), shown.data<std::uint8_t>() + 2 * read.numel()));

  REQUIRE(run_program({"generate", "--count", "2", "--seed", "5", "--out", folder / "a"}).code == 0);
  REQUIRE(run_program({"generate", "--count", "2", "--seed", "5", "--out", folder / "b", "--threads", "1"}).code == 0);
  REQUIRE(run_program({"generate", "--count", "2", "--seed", "6", "--truncation", "0.5", "--out", folder / "c"}).code == 0);
  CHECK(file_hashes(folder / "a") == file_hashes(folder / "b"));
  CHECK(file_hashes(folder / "a") != file_hashes(folder / "c"));
}

TEST_CASE("cli: an interrupted fit goes on to the same bytes; finished ones are kept") {
  TemporaryFolder folder;
  const std::string out = folder / "out", state = out + "/004_64.state.safetensors", result = out + "/004_64";
  const auto fit = short_fit(folder, out);
  const Outcome stopped = run_program(fit + std::vector<std::string>{"--progress", "lines"}, {.interrupt_at = "step1"});
  INFO(stopped.err);
  CHECK(stopped.code == 130);
  CHECK(stopped.err.find("004_64: ") != std::string::npos);
  CHECK(stopped.err.find("--resume") != std::string::npos);
  CHECK(entries(out) == std::vector<std::string>{"004_64.state.safetensors"});

  const Outcome other = run_program(fit + std::vector<std::string>{"--resume", "--seed", "1"});
  CHECK(other.code == 1);
  CHECK(other.err.find("another seed") != std::string::npos);
  CHECK(entries(out) == std::vector<std::string>{"004_64.state.safetensors"});

  const Outcome resumed = run_program(fit + std::vector<std::string>{"--resume", "--threads", "1", "--json"});
  INFO(resumed.err);
  const json metrics = json_of(resumed).at("results").at("004_64").at("metrics");
  CHECK(entries(out) == std::vector<std::string>{"004_64"});
  for (const char* name : {"side", "mad", "ellipsoid_side", "ellipsoid_mad", "constant_side", "constant_mad"}) CHECK(metrics.at(name).is_number());

  const std::string whole = folder / "whole";
  REQUIRE(run_program(short_fit(folder, whole)).code == 0);
  CHECK(file_hashes(result).size() > 60);
  CHECK(file_hashes(result) == file_hashes(whole + "/004_64"));

  // The table from the files says what the fit said from memory.
  const json evaluated = json_of(run_program({"evaluate", out, "--truth", source_path("assets/heads"), "--json"}));
  for (const auto& [name, value] : evaluated.at("pictures").at("004_64").items()) {
    CHECK(value.get<double>() == doctest::Approx(metrics.at(name).get<double>()));
  }
  CHECK(run_program({"evaluate", out, "--truth", source_path("assets/heads")}).out.find("mean") != std::string::npos);

  const auto before = file_hashes(out);
  const Outcome kept = run_program(fit);
  CHECK(kept.code == 0);
  CHECK(kept.err.find("kept") != std::string::npos);
  const Outcome refused = run_program(fit + std::vector<std::string>{"--resume", "--crop", "object"});
  CHECK(refused.code == 1);
  CHECK(refused.err.find("another --crop") != std::string::npos);
  const Outcome full = run_program(fit + std::vector<std::string>{"--force"}, {.file_limit = 1 << 20});
  INFO(full.err);
  CHECK(full.code == 1);
  CHECK(full.err.find("cannot be written") != std::string::npos);
  CHECK(file_hashes(out) == before);
}

TEST_CASE("cli: a memory limit that is too small is refused with what is needed; with that a fit finishes") {
  const TemporaryFolder folder;
  const std::string out = folder / "out";
  const auto fit = short_fit(folder, out);
  const Outcome refused = run_program(fit + std::vector<std::string>{"--memory-limit", "20M"});
  CHECK(refused.code == 1);
  const std::string before = "--memory-limit: 20M is less than the ", after = " that the preset 'default' needs with one picture at a time";
  const std::size_t at = refused.err.find(before), end = refused.err.find(after);
  INFO(refused.err);
  REQUIRE(at != std::string::npos);
  REQUIRE(end != std::string::npos);
  CHECK_FALSE(fs::exists(out + "/004_64"));
  const std::string needed = refused.err.substr(at + before.size(), end - at - before.size());
  const Outcome parted = run_program(fit + std::vector<std::string>{"--memory-limit", needed});
  INFO(parted.err);
  CHECK(parted.code == 0);
  CHECK(fs::exists(out + "/004_64/result.json"));
}

TEST_CASE("cli: fits start from a depth prior of one's own; the published schedule from random weights") {
  TemporaryFolder folder;
  REQUIRE(run_program({"prior", "--count", "3", "--iterations", "2", "--out", folder / "weights/depth_prior.safetensors"}).code == 1);  // no such folder
  fs::create_directory(folder / "weights");
  auto prior = [&](const std::string& name, const char* threads) {
    const Outcome outcome = run_program({"prior", "--count", "3", "--iterations", "2", "--threads", threads, "--out", folder / name});
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return read_file(folder / name);
  };
  CHECK(prior("weights/depth_prior.safetensors", "2") == prior("again.safetensors", "1"));
  const SafetensorsFile file(folder / "weights/depth_prior.safetensors");
  CHECK(file.metadata().at("preset") == "default");
  CHECK(file.entry("netD.network.0.weight").dtype == DType::f16);

  auto result = [&](const std::string& out, const std::vector<std::string>& more) {
    const Outcome outcome = run_program(short_fit(folder, folder / out) + more);
    INFO(outcome.err);
    REQUIRE(outcome.code == 0);
    return json::parse(read_file(folder / (out + "/004_64/result.json")));
  };
  const json own = result("own", {"--weights", folder / "weights"}), shipped = result("shipped", {}), paper = result("paper", {"--quality", "paper"});
  const std::string own_prior = own.at("identity").at("depth prior");
  CHECK(own_prior.size() == 64);
  CHECK(own_prior != shipped.at("identity").at("depth prior"));
  CHECK(paper.at("identity").at("depth prior") == "");
  CHECK(paper.at("settings").at("step3_batch") == 16);
  CHECK(shipped.at("settings").at("step3_batch") == 8);
  // What was fitted before lies near the ellipsoid from the first iteration on.
  auto prior_loss = [](const json& r) { return r.at("phases")[0].at("first_losses").at("total").get<double>(); };
  CHECK(prior_loss(shipped) < 0.5 * prior_loss(paper));
}

TEST_CASE("cli: [long] interrupted in every phase, a fit goes on to the same bytes") {
  TemporaryFolder folder;
  const std::vector<std::string> fit = {"reconstruct", head("008_64.png"), "--scale", "0.006", "--progress", "lines", "--seed", "3"};
  REQUIRE(run_program(fit + std::vector<std::string>{"--out", folder / "whole"}).code == 0);
  const auto stepwise = fit + std::vector<std::string>{"--out", folder / "out", "--resume"};
  for (const char* phase : {"projection", "prior", "step1", "step2", "collect", "step3"}) {
    const Outcome stopped = run_program(stepwise, {.interrupt_at = std::string(": ") + phase});
    INFO(stopped.err);
    CHECK(stopped.code == 130);
    CHECK(entries(folder / "out") == std::vector<std::string>{"008_64.state.safetensors"});
  }
  REQUIRE(run_program(stepwise).code == 0);
  CHECK(file_hashes(folder / "out/008_64") == file_hashes(folder / "whole/008_64"));
}
