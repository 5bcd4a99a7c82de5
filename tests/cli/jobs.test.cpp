// --jobs of the program: several images at a time.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "engine/image.h"
#include "engine/npy.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

using Arguments = std::vector<std::string>;

// White but for `left` columns on the left.
void write_mask(const std::string& path, std::int64_t left) {
  Tensor mask = Tensor::empty({64, 64, 1}, DType::u8);
  for (std::int64_t i = 0; i < mask.numel(); ++i) mask.mutable_data<std::uint8_t>()[i] = i % 64 >= left ? 255 : 0;
  write_png(path, mask);
}

// The shortest fits of three images. Of the one named `line` the object is a line, which only the fit finds out.
Arguments fits(const TemporaryFolder& folder, const std::string& out, const char* line, const Arguments& more) {
  const Arguments stems = {"000_64", "004_64", "008_64"};
  make_folders(folder / "masks");
  make_folders(folder / "latents");
  Arguments arguments = {"reconstruct"};
  for (const std::string& stem : stems) {
    arguments.push_back(source_path("assets/heads/" + stem + ".png"));
    write_mask(folder / "masks/" + stem + ".png", stem == line ? 63 : 0);
    write_npy(folder / "latents/" + stem + ".npy", hashed_input("jobs/" + stem, {512}, DType::f32, 0.5));
  }
  for (const char* argument : {"--scale", "0.001", "--mask"}) arguments.push_back(argument);
  for (const std::string& argument : {folder / "masks", std::string("--latent"), folder / "latents", std::string("--out"), out})
    arguments.push_back(argument);
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace

TEST_CASE("jobs: several pictures at a time give the same bytes; one that fails does not lose the others") {
  TemporaryFolder folder;
  const Outcome one = run_program(fits(folder, folder / "one", "004_64", {}));
  const Outcome three = run_program(fits(folder, folder / "three", "004_64", {"--jobs", "3", "--progress", "lines"}));
  for (const Outcome& outcome : {one, three}) {
    INFO(outcome.err);
    CHECK(outcome.code == 1);
    CHECK(outcome.err.find("1 of 3 pictures failed, the others are done: 004_64: mask: ") != std::string::npos);
  }
  CHECK(entries(folder / "three") == Arguments{"000_64", "008_64"});
  CHECK(file_hashes(folder / "one").size() > 100);
  CHECK(file_hashes(folder / "one") == file_hashes(folder / "three"));
  for (const char* line : {"000_64: step1  1/1", "008_64: step1  1/1"}) CHECK(three.err.find(line) != std::string::npos);
}

TEST_CASE("jobs: interrupted, all that are under way leave checkpoints, and go on to the same bytes") {
  TemporaryFolder folder;
  const Outcome stopped = run_program(fits(folder, folder / "two", "", {"--jobs", "3", "--progress", "lines"}), {.interrupt_at = "step1"});
  INFO(stopped.err);
  CHECK(stopped.code == 130);
  CHECK(entries(folder / "two") ==
        Arguments{"000_64.state.safetensors", "004_64.state.safetensors", "008_64.state.safetensors"});
  CHECK(run_program(fits(folder, folder / "two", "", {"--jobs", "2", "--resume"})).code == 0);
  CHECK(run_program(fits(folder, folder / "whole", "", {})).code == 0);
  CHECK(file_hashes(folder / "two") == file_hashes(folder / "whole"));
}

TEST_CASE("jobs: a number that makes no sense is refused") {
  TemporaryFolder folder;
  for (const char* number : {"0", "-1", "65"}) {
    const Outcome outcome = run_program(fits(folder, folder / "out", "", {"--jobs", number}));
    CHECK(outcome.code == 2);
    CHECK(outcome.err == str("gan2shape: reconstruct: --jobs: ", number, " is not between 1 and 64 (see gan2shape reconstruct --help)\n"));
  }
}
