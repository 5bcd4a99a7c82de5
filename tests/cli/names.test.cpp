// Names of files may have any bytes but '/' and zero: results and messages survive them.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "engine/shown.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

const std::vector<std::string> stems = {"caf\xe9", "a\nb", "say \"hi\" \\", "\x1b[2J", "\xff\xfe\xc3"};

bool is_text(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0 || text[0] == '\x1b') return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace

TEST_CASE("reconstruct: a picture whose name is not UTF-8 gives a result, JSON that can be parsed and messages of one line") {
  const TemporaryFolder folder;
  std::vector<std::string> arguments = {"reconstruct"};
  for (const std::string& stem : stems) {
    std::filesystem::copy_file(source_path("assets/heads/000_64.png"), folder / stem + ".png");
    arguments.push_back(folder / stem + ".png");
  }
  for (const char* more : {"--quality", "draft", "--scale", "0.001", "--json", "--out"}) arguments.push_back(more);
  arguments.push_back(folder / "out \xe9");
  const Outcome fit = run_program(arguments);
  INFO(fit.err);
  CHECK(fit.code == 0);
  CHECK(nlohmann::json::parse(fit.out).at("results").size() == stems.size());
  for (const std::string& stem : stems) {
    const std::string text = read_file(folder / "out \xe9" + "/" + stem + "/result.json", 1 << 30);
    CHECK(nlohmann::json::parse(text).at("picture").at("file").get<std::string>().ends_with(".png"));
  }
  CHECK(is_text(fit.err));
  CHECK(fit.err.find("\nb: ") == std::string::npos);
}

TEST_CASE("every command: messages about names that are not UTF-8 are one line of text") {
  const TemporaryFolder folder;
  const std::string absent = folder / "no \xe9\n\x1b.pt";
  const std::vector<std::vector<std::string>> commands = {{"info", absent},
                                                          {"info", absent, "--json"},
                                                          {"convert", absent, folder / "x.safetensors"},
                                                          {"reconstruct", absent, "--out", folder / "out"},
                                                          {"generate", "--latent", absent, "--out", folder / "out"},
                                                          {"evaluate", absent, "--truth", absent},
                                                          {"trace", absent, folder / "x.safetensors"}};
  for (const auto& arguments : commands) {
    CAPTURE(arguments[0]);
    const Outcome outcome = run_program(arguments);
    INFO(outcome.err);
    CHECK(outcome.code != 0);
    CHECK(is_text(outcome.err));
    CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
    CHECK(outcome.err.find("internal error") == std::string::npos);
  }
}

TEST_CASE("generate, info and convert: JSON of names that are not UTF-8 can be parsed") {
  const TemporaryFolder folder;
  const Outcome drawn = run_program({"generate", "--count", "1", "--json", "--out", folder / "draw\xe9n"});
  CHECK(nlohmann::json::parse(drawn.out).at("pictures") == 1);
  const Outcome info = run_program({"info", "--json", folder / "draw\xe9n/0000.png"});
  CHECK(nlohmann::json::parse(info.out).at("files").at(0).at("kind") == "picture");
  const Outcome converted =
      run_program({"convert", "--json", source_path("tests/fixtures/numpy_float32.npy"), folder / "\xe9.safetensors"});
  CHECK(nlohmann::json::parse(converted.out).at("tensors") == 1);
}
