// What a user types, and what is said when it is wrong.
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s::test;

namespace {

constexpr const char* commands[] = {"reconstruct", "generate", "faces", "evaluate", "trace", "prior", "convert", "info"};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Exit code 2, nothing on standard output and one line on standard error.
void misused(const std::vector<std::string>& arguments, const std::string& said, const std::string& program = {}) {
  const Outcome outcome = run_program(arguments, {.program = program});
  CHECK(outcome.err == said + "\n");
  CHECK(outcome.out.empty());
  CHECK(outcome.code == 2);
}

}  // namespace

TEST_CASE("command line: a mistyped command is named with the nearest") {
  misused({"reconstrct", "photo.png"}, "gan2shape: reconstrct: no such command; did you mean reconstruct?");
  misused({"inof"}, "gan2shape: inof: no such command; did you mean info?");
  misused({"gen", "--out", "x"}, "gan2shape: gen: no such command; did you mean generate?");
  misused({"fly"}, "gan2shape: fly: no such command (see gan2shape --help)");
  const std::string picture = source_path("assets/heads/000_64.png");
  misused({picture}, "gan2shape: " + picture + ": no such command; did you mean gan2shape reconstruct " + picture + "?");
}

TEST_CASE("command line: a mistyped option is named with the nearest") {
  misused({"reconstruct", "x.png", "--ouput", "y"}, "gan2shape: reconstruct: --ouput: no such option; did you mean --out? (see gan2shape reconstruct --help)");
  misused({"reconstruct", "--qualty=draft", "x.png"},
          "gan2shape: reconstruct: --qualty: no such option; did you mean --quality? (see gan2shape reconstruct --help)");
  misused({"trace", "--uot", "x", "x.json"}, "gan2shape: trace: --uot: no such option; did you mean --out? (see gan2shape trace --help)");
  misused({"info", "-z"}, "gan2shape: info: -z: no such option (see gan2shape info --help)");
  misused({"--vresion"}, "gan2shape: --vresion: no such option; did you mean --version? (see gan2shape --help)");
  misused({"--seed", "info"}, "gan2shape: --seed: no such option; options stand behind the command (see gan2shape --help)");
}

TEST_CASE("command line: what is missing is named, with the help of that command") {
  misused({"reconstruct"}, "gan2shape: reconstruct: IMAGE is missing (see gan2shape reconstruct --help)");
  misused({"faces"}, "gan2shape: faces: PICTURE is missing (see gan2shape faces --help)");
  misused({"generate"}, "gan2shape: generate: --out is missing (see gan2shape generate --help)");
  misused({"prior"}, "gan2shape: prior: --out is missing (see gan2shape prior --help)");
  misused({"trace"}, "gan2shape: trace: FILE and --out are missing (see gan2shape trace --help)");
  misused({"evaluate", "out"}, "gan2shape: evaluate: --truth is missing (see gan2shape evaluate --help)");
  misused({"convert"}, "gan2shape: convert: IN... OUT is missing (see gan2shape convert --help)");
  misused({"convert", "a.pt"}, "gan2shape: convert: IN... OUT: at least 2 are needed (see gan2shape convert --help)");
  misused({"reconstruct", "x.png", "--seed"}, "gan2shape: reconstruct: --seed: its value is missing: N (see gan2shape reconstruct --help)");
  misused({"evaluate", "a", "b", "--truth", "c"}, "gan2shape: evaluate: b: is one argument too many (see gan2shape evaluate --help)");
}

TEST_CASE("command line: a value that an option cannot have is a mistake of the command line") {
  const auto value = [](const std::string& command, const std::string& option, const std::string& text, const std::string& said) {
    std::vector<std::string> arguments = {command, option, text};
    if (command == "reconstruct" || command == "faces") arguments.push_back("x.png");
    else if (command == "convert") arguments.insert(arguments.end(), {"a.pt", "b.safetensors"});
    else arguments.insert(arguments.end(), {"-o", "x"});
    misused(arguments, "gan2shape: " + command + ": " + option + ": " + said + " (see gan2shape " + command + " --help)");
  };
  value("reconstruct", "--seed", "many", "'many' is not a whole number");
  value("reconstruct", "--seed", "1.5", "'1.5' is not a whole number");
  value("reconstruct", "--threads", "-1", "-1 is not between 0 and 1024");
  value("reconstruct", "--jobs", "0", "0 is not between 1 and 64");
  value("reconstruct", "--save-every", "-3", "'-3' is not a positive number");
  value("reconstruct", "--scale", "nan", "'nan' is not a positive number");
  value("reconstruct", "--quality", "best", "'best' is none of draft, standard, paper");
  value("reconstruct", "--device", "tpu", "'tpu' is none of auto, cpu, cuda, cuda:N");
  value("reconstruct", "--device", "cuda:x", "'cuda:x' is none of auto, cpu, cuda, cuda:N");
  value("reconstruct", "--face", "0", "'0' is none of largest, all, a number");
  value("reconstruct", "--memory-limit", "20X", "'20X' is not a size such as 2G or 1500M");
  value("faces", "--aligned", "5000", "5000 is not between 16 and 4096");
  value("generate", "--truncation", "1.5", "1.5 is not between 0 and 1");
  value("generate", "--count", "", "'' is not a whole number");
  value("convert", "--dtype", "f8", "'f8' is none of f16, f32, bf16");
  misused({"generate", "-o", "x", "--raw", "--truncation", "0.5"},
          "gan2shape: generate: --truncation: --raw writes pictures without truncation (see gan2shape generate --help)");
}

TEST_CASE("command line: help is printed alone, with --help and with -h") {
  const Outcome bare = run_program({}), asked = run_program({"--help"});
  CHECK(bare.code == 0);
  CHECK(bare.err.empty());
  CHECK(bare.out == asked.out);
  CHECK(has(bare.out, "Exit codes: 0 done; 1 failed, and standard error says why; 2 the command line is wrong; 130"));
  for (const char* command : commands) {
    CHECK(has(bare.out, std::string("\n  ") + command + " "));
    const Outcome help = run_program({command, "-h"});
    CHECK(help.code == 0);
    CHECK(help.err.empty());
    CHECK(has(help.out, std::string("\nUsage: gan2shape ") + command + " "));
    CHECK(help.out == run_program({command, "--help"}).out);
  }
  CHECK_FALSE(has(bare.out, "write-help"));
}

TEST_CASE("command line: help fits into 100 columns") {
  std::vector<std::string> texts = {run_program({}).out};
  for (const char* command : commands) texts.push_back(run_program({command, "--help"}).out);
  for (const std::string& text : texts) {
    std::istringstream lines(text);
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line); ++count) CHECK_MESSAGE(line.size() <= 100, line);
    CHECK(count > 5);
  }
}

TEST_CASE("command line: help groups the options, marks those that are required, and has the values and the short forms") {
  const std::string help = run_program({"reconstruct", "--help"}).out;
  std::size_t at = 0;
  for (const char* part : {"\nArguments:\n", "\nInput:\n", "\nFit:\n", "\nResults:\n", "\nMachine:\n", "\nMessages:\n"}) {
    const std::size_t found = help.find(part, at);
    REQUIRE_MESSAGE(found != std::string::npos, part);
    at = found;
  }
  for (const char* row : {"  -o, --out DIR ", "  -j, --jobs N ", "  -q, --quiet ", "  -h, --help ", "--quality draft|standard|paper\n", "--face largest|all|N", "--device auto|cpu|cuda[:N]"})
    CHECK_MESSAGE(has(help, row), row);
  for (const char* command : commands) {
    const std::string text = run_program({command, "--help"}).out;
    CHECK_MESSAGE(!has(text, "\nOptions:\n"), command);  // every option is in a group
    CHECK_MESSAGE(has(text, "(required)") == (std::string(command) != "info"), command);
  }
  CHECK(has(run_program({"trace", "--help"}).out, "\nUsage: gan2shape trace [OPTIONS] --out FILE FILE\n"));
  // Where the list is too long to stand beside the option, the text has it.
  const std::string convert = run_program({"convert", "--help"}).out;
  for (const char* kind : {"auto", "mobilestylegan", "stylegan2-generator", "lpips", "u2netp", "face-detector", "bisenet", "pspnet", "gan2shape-nets", "tensors"})
    CHECK_MESSAGE(has(convert, kind), kind);
  // The formats are those that this build reads.
  const std::string libraries = run_program({"info"}).out;
  CHECK(has(help, "WebP") == has(libraries, "libwebp"));
  CHECK(has(help, "TIFF") == has(libraries, "libtiff"));
  CHECK(has(help, "HEIC") == has(libraries, "libheif"));
}

TEST_CASE("command line: -q shows warnings and results alone, -o is --out, -j is --jobs") {
  const TemporaryFolder folder;
  const std::vector<std::string> fit = {"reconstruct", source_path("assets/heads/004_64.png"), "--scale", "0.001", "-j", "2", "-o", folder / "out"};
  const Outcome told = run_program(fit);
  REQUIRE(told.code == 0);
  CHECK(has(told.err, "finished in"));
  CHECK(has(told.err, ": warning: "));  // a fit of one iteration is none
  std::vector<std::string> quiet = fit;
  quiet.insert(quiet.end(), {"-q", "--force", "--json"});
  const Outcome outcome = run_program(quiet);
  REQUIRE(outcome.code == 0);
  CHECK(has(outcome.out, "\"lpips_in_mask\""));
  std::istringstream lines(outcome.err);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) CHECK_MESSAGE(has(line, ": warning: "), line);
  CHECK(count > 0);
  const Outcome failed = run_program({"reconstruct", folder / "absent.png", "-q", "-o", folder / "out"});
  CHECK(failed.code == 1);
  CHECK(has(failed.err, "absent.png"));
}

#if defined(G2S_BENCH)
TEST_CASE("command line: wrong options of the benchmarks are told apart from what fails") {
  CHECK(run_program({"--help"}, {.program = G2S_BENCH}).code == 0);
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"--no-such-option"}, {"--repeat", "0"}, {"--device", "tpu", "--case", "G128_b1_fwd"}, {"--case", "none"}}) {
    const Outcome outcome = run_program(wrong, {.program = G2S_BENCH});
    CHECK(outcome.code == 2);
    CHECK(outcome.err.rfind("g2s_bench: ", 0) == 0);
    CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
    CHECK(outcome.out.empty());
  }
  CHECK(run_program({"--compare", "/nowhere/a.json", "/nowhere/b.json"}, {.program = G2S_BENCH}).code == 1);
}
#endif
