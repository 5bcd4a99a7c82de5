// No result, no work of an interrupted fit and no other file is lost or taken for another's.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "engine/files.h"
#include "engine/image.h"
#include "engine/npy.h"
#include "engine/path_lock.h"
#include "engine/safetensors.h"
#include "tests/cli/cutout.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

bool says(const Outcome& outcome, const std::string& part) { return outcome.err.find(part) != std::string::npos; }

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// The shipped generator and discriminator, of which one is another file.
std::string other_weights(const TemporaryFolder& folder) {
  const std::string path = folder / "weights";
  make_folders(path);
  NamedTensors tensors;
  const SafetensorsFile shipped(source_path("assets/stylegan2_g.safetensors"));
  for (const auto& entry : shipped.entries()) tensors.emplace_back(entry.name, shipped.get(entry.name));
  auto metadata = shipped.metadata();
  metadata["made"] = "again";
  write_safetensors(path + "/stylegan2_g.safetensors", tensors, metadata);
  fs::copy_file(source_path("assets/stylegan2_d.safetensors"), path + "/stylegan2_d.safetensors");
  return path;
}

// Refused with one sentence that has the part, and nothing below the folder changes.
void refused(const Strings& arguments, const std::string& folder, const std::string& part) {
  const auto before = file_hashes(folder);
  const Outcome outcome = run_program(arguments);
  INFO(outcome.err);
  CHECK(outcome.code == 1);
  CHECK(outcome.out.empty());
  CHECK(count_of(outcome.err, "\n") == 1);
  CAPTURE(part);
  CHECK(says(outcome, part));
  CHECK(file_hashes(folder) == before);
}

}  // namespace

TEST_CASE("folders: a finished folder is another fit's where picture, mask, latent or settings differ, and all that differs is named") {
  const TemporaryFolder folder;
  const std::string out = folder / "out", mine = folder / "face.png", other = folder / "other/face.png";
  make_folders(folder / "other");
  write_cutout(mine, "000");
  write_cutout(other, "004");
  const Outcome first = run_program(shortest_fit({mine}, out));
  INFO(first.err);
  REQUIRE(first.code == 0);
  const std::string place = out + "/face: has another fit's result, made with another ";
  refused(shortest_fit({other}, out), out, place + "picture; --force replaces it, another --out keeps both");
  refused(shortest_fit({other}, out, {"--json", "--seed", "5"}), out, place + "picture and another seed");
  refused(shortest_fit({mine}, out, {"--resume", "--seed", "5"}), out, place + "seed;");
  refused(shortest_fit({mine}, out, {"--quality", "paper"}), out, "another quality;");
  Strings longer = shortest_fit({mine}, out);
  std::replace(longer.begin(), longer.end(), std::string("0.001"), std::string("0.01"));
  refused(longer, out, place + "scale;");
  write_npy(folder / "latent.npy", hashed_input("folders/latent", {512}, DType::f32, 0.5));
  refused(shortest_fit({mine}, out, {"--latent", folder / "latent.npy"}), out, place + "latent;");
  write_png(folder / "mask.png", Tensor::full({64, 64, 1}, 255, DType::u8));
  refused(shortest_fit({mine}, out, {"--mask", folder / "mask.png"}), out, place + "mask");
  refused(shortest_fit({mine}, out, {"--weights", other_weights(folder)}), out, "another generator");
  const Outcome kept = run_program(shortest_fit({mine}, out, {"--threads", "1", "--jobs", "3"}));
  INFO(kept.err);
  CHECK(kept.code == 0);
  CHECK(says(kept, "face: finished before and kept"));
  const auto before = file_hashes(out);
  CHECK(run_program(shortest_fit({other}, out, {"--force"})).code == 0);
  CHECK(file_hashes(out) != before);
  CHECK(entries(out) == Strings{"face"});
}

TEST_CASE("folders: a folder of other files under the picture's name is never replaced") {
  const TemporaryFolder folder;
  write_cutout(folder / "holiday.png", "000");
  make_folders(folder / "holiday");
  write_file(folder / "holiday/letter.txt", "precious");
  for (const Strings& more : {Strings{}, Strings{"--force"}, Strings{"--resume"}})
    refused(shortest_fit({folder / "holiday.png"}, folder.path(), more), folder.path(), "/holiday: holds other files and no result");
}

TEST_CASE("folders: what an interrupted fit left is overwritten only with --force, also that of a fit that was to replace a result") {
  const TemporaryFolder folder;
  const std::string out = folder / "out", picture = folder / "face.png", state = out + "/face.state.safetensors";
  write_cutout(picture, "000");
  auto interrupted = [&](const Strings& more) {
    const Outcome stopped = run_program(shortest_fit({picture}, out, more), {.interrupt_at = "step1"});
    INFO(stopped.err);
    CHECK(stopped.code == 130);
    CHECK(fs::exists(state));
  };
  interrupted({});
  refused(shortest_fit({picture}, out), out, state + ": is of a fit that did not finish: --resume goes on with it, --force starts anew");
  const Outcome anew = run_program(shortest_fit({picture}, out, {"--force", "--seed", "3"}));
  CHECK(anew.code == 0);
  CHECK(entries(out) == Strings{"face"});
  interrupted({"--force", "--seed", "4"});
  CHECK(entries(out) == Strings{"face", "face.state.safetensors"});
  refused(shortest_fit({picture}, out, {"--resume", "--seed", "5"}), out, state + ": cannot be resumed: it was made with another seed");
  CHECK(run_program(shortest_fit({picture}, out, {"--resume", "--seed", "4"})).code == 0);
  CHECK(entries(out) == Strings{"face"});
  REQUIRE(run_program(shortest_fit({picture}, folder / "whole", {"--seed", "4"})).code == 0);
  CHECK(file_hashes(out) == file_hashes(folder / "whole"));
}

TEST_CASE("folders: a picture that another process is working on is left to it, the others are done") {
  const TemporaryFolder folder;
  const std::string out = folder / "out";
  for (const char* head : {"000", "004", "008"}) write_cutout(folder / str(head, ".png"), head);
  make_folders(out);
  {
    const PathLock mine(out + "/000");
    const Outcome outcome = run_program(shortest_fit({folder / "000.png", folder / "004.png"}, out));
    INFO(outcome.err);
    CHECK(outcome.code == 1);
    CHECK(says(outcome, str("1 of 2 pictures failed, the others are done: 000: ", out, "/000: process ", ::getpid(), " on ")));
    CHECK(says(outcome, "is working on it"));
    CHECK(entries(out) == Strings{"000.lock", "004"});
  }
  // Two at once: each picture is fitted once, whoever comes first.
  const Strings fit = shortest_fit({folder / "000.png", folder / "004.png", folder / "008.png"}, folder / "both");
  Outcome first, second;
  std::thread beside([&] { first = run_program(fit); });
  second = run_program(fit);
  beside.join();
  INFO(first.err, second.err);
  CHECK(count_of(first.err + second.err, ": finished in ") == 3);
  CHECK(entries(folder / "both") == Strings{"000", "004", "008"});
}

TEST_CASE("folders: generate, convert, prior, trace and faces overwrite files only with --force") {
  const TemporaryFolder folder;
  write_safetensors(folder / "x.safetensors", {{"x", Tensor::zeros({2})}});
  const std::string portrait = source_path("tests/images/portraits/astronaut.jpg");
  struct Case {
    Strings arguments;
    std::string file;
  };
  const Case cases[] = {
      {{"generate", "--count", "2", "--out", folder / "drawn"}, "drawn/0000.png"},
      {{"generate", "--count", "2", "--raw", "--out", folder / "raw"}, "raw/images.npy"},
      {{"convert", folder / "x.safetensors", folder / "y.safetensors"}, "y.safetensors"},
      {{"prior", "--count", "1", "--iterations", "1", "--out", folder / "prior.safetensors"}, "prior.safetensors"},
      {{"trace", source_path("tests/golden/ellipsoid64.json"), "--dtype", "f32", "--out", folder / "trace.safetensors"}, "trace.safetensors"},
      {{"faces", portrait, "--aligned", "64", "--out", folder / "faces"}, "faces/astronaut_faces.png"}};
  for (const Case& c : cases) {
    CAPTURE(c.file);
    const Outcome first = run_program(c.arguments);
    INFO(first.err);
    REQUIRE(first.code == 0);
    write_file(folder / c.file, "precious");
    refused(c.arguments, folder.path(), folder / c.file + ": is there already; --force replaces it");
    CHECK(read_file(folder / c.file) == "precious");
    Strings forced = c.arguments;
    forced.push_back("--force");
    CHECK(run_program(forced).code == 0);
    CHECK(read_file(folder / c.file) != "precious");
  }
  // A crop of a face too.
  for (const char* file : {"astronaut_faces.png", "astronaut_faces.json"}) fs::remove(folder / str("faces/", file));
  refused(cases[5].arguments, folder.path(), "faces/astronaut_face1.png: is there already");
}
