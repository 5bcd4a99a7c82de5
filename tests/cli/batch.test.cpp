// Several pictures in one run of the program.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "tests/cli/cutout.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

using Strings = std::vector<std::string>;

std::size_t at(const Outcome& outcome, const std::string& part) { return outcome.err.find(part); }
bool says(const Outcome& outcome, const std::string& part) { return at(outcome, part) != std::string::npos; }

}  // namespace

TEST_CASE("batch: pictures that cannot be read are all named at once and at the end, and the others are done") {
  const TemporaryFolder folder;
  write_cutout(folder / "a.png", "000");
  write_cutout(folder / "b.png", "004");
  write_file(folder / "cut.png", read_file(folder / "a.png").substr(0, 2000));
  write_file(folder / "text.png", "no picture");
  make_folders(folder / "empty");
  const Strings pictures = {folder / "cut.png", folder / "a.png", folder / "absent.png", folder / "text.png", folder / "empty", folder / "b.png"};
  const Outcome outcome = run_program(shortest_fit(pictures, folder / "out", {"--json"}));
  INFO(outcome.err);
  CHECK(outcome.code == 1);
  CHECK(entries(folder / "out") == Strings{"a", "b"});
  const std::size_t first_phase = at(outcome, "picture 2 of 6, a: ");
  CHECK(first_phase != std::string::npos);
  for (const char* bad : {"cut.png: ", "absent.png: does not exist", "text.png: ", "empty: is a folder without a picture in it"}) {
    CAPTURE(bad);
    CHECK(at(outcome, folder / bad) < first_phase);
    CHECK(outcome.err.rfind(folder / bad) > outcome.err.find("4 of 6 pictures failed, the others are done: "));
  }
  CHECK(says(outcome, "4 of 6 pictures failed, the others are done: "));
  CHECK(nlohmann::json::parse(outcome.out).at("results").size() == 2);
}

TEST_CASE("batch: where the picture of a run or all of them cannot be read, nothing is written") {
  const TemporaryFolder folder;
  const Outcome one = run_program(shortest_fit({folder / "absent.png"}, folder / "out"));
  CHECK(one.err == "gan2shape: " + folder / "absent.png" + ": does not exist\n");
  const Outcome both = run_program(shortest_fit({folder / "absent.png", folder / "none.png"}, folder / "out"));
  CHECK(both.code == 1);
  CHECK(says(both, "gan2shape: reconstruct: 2 of 2 pictures failed: "));
  CHECK(std::count(both.err.begin(), both.err.end(), '\n') == 1);
  CHECK_FALSE(std::filesystem::exists(folder / "out"));
}

TEST_CASE("batch: on Ctrl-C pictures that were not begun are counted, and not called interrupted") {
  const TemporaryFolder folder;
  for (const char* head : {"000", "004", "008"}) write_cutout(folder / str(head, ".png"), head);
  const Strings fit = shortest_fit({folder.path()}, folder / "out");
  const Outcome stopped = run_program(fit, {.interrupt_at = "picture 1 of 3, 000: step1"});
  INFO(stopped.err);
  CHECK(stopped.code == 130);
  CHECK(says(stopped, "gan2shape: reconstruct: 000: stopped in "));
  CHECK(says(stopped, "; --resume goes on from there; 2 of 3 pictures were not begun\n"));
  CHECK_FALSE(says(stopped, "interrupted"));
  CHECK_FALSE(says(stopped, "004: "));
  CHECK(entries(folder / "out") == Strings{"000.state.safetensors"});
}

TEST_CASE("batch: a folder stands for its pictures, sorted; what is none is left out") {
  const TemporaryFolder folder;
  const std::string in = folder / "in";
  make_folders(in + "/below");
  write_cutout(in + "/b.png", "000");
  write_cutout(in + "/a.png", "004");
  write_cutout(in + "/below/c.png", "000");
  write_cutout(in + "/.hidden.png", "000");
  write_cutout(in + "/a_depth.png", "000");
  write_file(in + "/notes.txt", "no picture");
  const Outcome outcome = run_program(shortest_fit({in, in + "/a.png"}, folder / "out"));
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(entries(folder / "out") == Strings{"a", "b"});
  CHECK(at(outcome, "picture 1 of 2, a: ") < at(outcome, "picture 2 of 2, b: "));
}

TEST_CASE("batch: pictures of one name get folders of their own, with masks of their own") {
  const TemporaryFolder folder;
  make_folders(folder / "other");
  for (const char* path : {"same.png", "same.jpg", "other/same.png"}) write_cutout(folder / path, "000");
  const Outcome outcome = run_program(shortest_fit({folder / "same.png", folder / "same.jpg"}, folder / "out", {"--json"}));
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(entries(folder / "out") == Strings{"same_jpg", "same_png"});
  CHECK(nlohmann::json::parse(outcome.out).at("results").contains("same_jpg"));
  make_folders(folder / "masks");
  write_cutout(folder / "masks/other_same_png.png", "000");
  const Outcome masked = run_program(shortest_fit({folder / "same.png", folder / "other/same.png"}, folder / "out2", {"--mask", folder / "masks"}));
  INFO(masked.err);
  CHECK(masked.code == 1);
  CHECK(entries(folder / "out2") == Strings{"other_same_png"});
  CHECK(says(masked, "_same_png.png: does not exist (--mask)"));
}

TEST_CASE("batch: without a terminal each phase of each picture is a line, once") {
  const TemporaryFolder folder;
  for (const char* head : {"000", "004"}) write_cutout(folder / str(head, ".png"), head);
  const Outcome outcome = run_program(shortest_fit({folder.path()}, folder / "out", {"--jobs", "2"}));
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  for (const char* picture : {"picture 1 of 2, 000: ", "picture 2 of 2, 004: "}) {
    for (const char* phase : {"projection", "prior", "step1", "step2", "collect", "step3"}) {
      CAPTURE(phase);
      const std::string line = str(picture, phase, "  ");
      CHECK(says(outcome, line));
      CHECK(at(outcome, line) == outcome.err.rfind(line));
    }
  }
  const Outcome quiet = run_program(shortest_fit({folder.path()}, folder / "out2", {"--progress", "none"}));
  CHECK_FALSE(says(quiet, "step1"));
}
