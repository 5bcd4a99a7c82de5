// The command `faces`, and what it says of bad input.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "engine/image.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

using nlohmann::json;

std::string portrait(const std::string& name) { return source_path("tests/images/portraits/" + name); }

json run_json(std::vector<std::string> arguments) {
  arguments.push_back("--json");
  const Outcome outcome = run_program(arguments);
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return json::parse(outcome.out);
}

std::string complaint(const std::vector<std::string>& arguments, int code = 1) {
  const Outcome outcome = run_program(arguments);
  CHECK(outcome.code == code);
  CHECK(outcome.err.rfind("gan2shape: ", 0) == 0);
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
  return outcome.err;
}

}  // namespace

TEST_CASE("faces: draws, writes JSON and aligned crops, the same with any number of threads") {
  const TemporaryFolder folder;
  const json one = run_json(
      {"faces", portrait("astronaut.jpg"), portrait("grace_hopper.jpg"), "--out", folder / "a", "--aligned", "64", "--threads", "1"});
  REQUIRE(one.at("pictures").size() == 2);
  const json& picture = one["pictures"][0];
  CHECK(picture.at("width") == 512);
  REQUIRE(picture.at("faces").size() == 1);
  const json& face = picture["faces"][0];
  CHECK(face.at("state") == "good");
  CHECK(face.at("number") == 1);
  CHECK(face.at("frame").size() == 4);
  CHECK(face.at("points").size() == 468);
  CHECK(read_image(face.at("aligned")).width() == 64);
  CHECK(read_image(picture.at("drawn")).height() == 512);
  CHECK(json::parse(read_file(folder / "a/astronaut_faces.json")) == picture);
  CHECK(entries(folder / "a").size() == 6);
  run_program(
      {"faces", portrait("astronaut.jpg"), portrait("grace_hopper.jpg"), "--out", folder / "b", "--aligned", "64", "--threads", "3"});
  CHECK(same_bits(read_image(folder / "b/astronaut_face1.png").rgb, read_image(folder / "a/astronaut_face1.png").rgb));
}

TEST_CASE("faces: without a face it says so and succeeds") {
  const TemporaryFolder folder;
  write_png(folder / "grey.png", Tensor::full({1, 1, 3}, 128, DType::u8));
  const Outcome outcome = run_program({"faces", folder / "grey.png", "--out", folder / "out"});
  CHECK(outcome.code == 0);
  CHECK(outcome.out.find("no face was found") != std::string::npos);
  CHECK(json::parse(read_file(folder / "out/grey_faces.json")).at("faces").empty());
}

TEST_CASE("faces: bad options and pictures are refused before anything is written") {
  const TemporaryFolder folder;
  const std::string good = portrait("astronaut.jpg"), out = folder / "out";
  CHECK(complaint({"faces", good, "--aligned", "5", "--out", out}, 2).find("--aligned") != std::string::npos);
  CHECK(complaint({"faces", good, "--face", "nose", "--out", out}, 2).find("--face") != std::string::npos);
  CHECK(complaint({"faces", folder / "absent.png", "--out", out}).find("absent.png") != std::string::npos);
  CHECK(complaint({"faces", source_path("README.md"), "--out", out}).find("README.md") != std::string::npos);
  CHECK(complaint({"faces", good, "--device", "cuda", "--out", out}).find("--device") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(out));
  CHECK(complaint({"faces", good, "--face", "2", "--out", out}).find("has 1 face") != std::string::npos);
}

TEST_CASE("faces: one bad picture stops no other, and one that is named twice is done once") {
  const TemporaryFolder folder;
  const std::string good = portrait("astronaut.jpg"), out = folder / "out";
  const std::string said = complaint({"faces", source_path("README.md"), good, folder / "absent.png", good, "--out", out});
  CHECK(said.find("faces: 2 of 3 pictures failed, the others are done: ") != std::string::npos);
  for (const char* part : {"README.md: ", "absent.png: does not exist"}) CHECK(said.find(part) != std::string::npos);
  CHECK(entries(out) == std::vector<std::string>{"astronaut_faces.json", "astronaut_faces.png"});
}
