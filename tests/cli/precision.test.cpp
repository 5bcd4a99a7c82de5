// --precision of the program.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "engine/image.h"
#include "engine/npy.h"
#include "kernels/isa.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"
#include "tests/support/skip.h"

using namespace g2s;
using namespace g2s::test;

namespace {

bool has_bf16(const char* what) {
  if (kernels::bf16_unit() != kernels::Bf16Unit::none) return true;
  skip(str(what, ": this processor has neither AVX512-BF16 nor AMX"));
  return false;
}

Tensor drawn(const TemporaryFolder& folder, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"generate", "--force", "--count", "3", "--raw", "--out", folder / "raw"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const Outcome outcome = run_program(arguments);
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return read_npy(folder / "raw/images.npy");
}

}  // namespace

TEST_CASE("precision: without a unit for it, or by a wrong name, bf16 is refused in one sentence") {
  TemporaryFolder folder;
  const std::string image = source_path("assets/heads/000_64.png");
  for (const std::vector<std::string>& command : {std::vector<std::string>{"generate"}, std::vector<std::string>{"reconstruct", image}}) {
    auto refuse = [&](const char* name, int code, const std::string& said) {
      std::vector<std::string> arguments = command;
      for (const std::string& argument : {std::string("--precision"), std::string(name), std::string("--out"), folder / "out"})
        arguments.push_back(argument);
      const Outcome outcome = run_program(arguments, {.settings = {"G2S_BF16=none"}});
      CHECK(outcome.code == code);
      CHECK(outcome.err == "gan2shape: " + said + "\n");
      CHECK(entries(folder / "out").empty());
    };
    refuse("bf16", 1, "--precision: this processor has neither AVX512-BF16 nor AMX, which bf16 needs");
    refuse("half", 2, str(command[0], ": --precision: 'half' is none of f32, tf32, bf16 (see gan2shape ", command[0], " --help)"));
  }
}

TEST_CASE("precision: bf16 draws nearly the same pictures, to the same bits at any number of threads") {
  if (!has_bf16("precision: bf16 draws")) return;
  TemporaryFolder folder;
  const Tensor f32 = drawn(folder, {}), one = drawn(folder, {"--precision", "bf16", "--threads", "1"});
  CHECK(same_bits(one, drawn(folder, {"--precision", "bf16", "--threads", "3"})));
  CHECK(same_bits(f32, drawn(folder, {"--precision", "f32"})));
  // bfloat16 keeps 8 bits: an error of 2^-9 in every factor.
  CHECK(rel_error(one, f32) > 1e-4);
  CHECK(rel_error(one, f32) < 2e-2);
}

TEST_CASE("precision: a fit remembers it, and is not resumed in another") {
  if (!has_bf16("precision: a fit")) return;
  TemporaryFolder folder;
  Tensor mask = Tensor::empty({64, 64, 1}, DType::u8);
  std::fill_n(mask.mutable_data<std::uint8_t>(), mask.numel(), std::uint8_t{255});
  write_png(folder / "mask.png", mask);
  write_npy(folder / "latent.npy", hashed_input("cli/latent", {512}, DType::f32, 0.5));
  const std::string out = folder / "out", state = "004_64.state.safetensors";
  auto fit = [&](const char* precision, std::vector<std::string> more, const RunOptions& options = {}) {
    std::vector<std::string> arguments = {"reconstruct", source_path("assets/heads/004_64.png"), "--mask", folder / "mask.png", "--latent",
                                          folder / "latent.npy", "--scale", "0.001", "--out", out, "--precision", precision};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(arguments, options);
  };
  REQUIRE(fit("bf16", {"--progress", "lines"}, {.interrupt_at = "step1"}).code == 130);
  REQUIRE(entries(out) == std::vector<std::string>{state});
  const Outcome other = fit("f32", {"--resume"});
  CHECK(other.code == 1);
  CHECK(other.err.find("another --precision") != std::string::npos);
  const Outcome resumed = fit("bf16", {"--resume"});
  INFO(resumed.err);
  REQUIRE(resumed.code == 0);
  const auto result = nlohmann::json::parse(read_file(out + "/004_64/result.json"));
  CHECK(result.at("precision") == "bf16");
  CHECK(result.at("identity").at("--precision") == "bf16");
  CHECK(fit("f32", {"--resume"}).err.find("another --precision") != std::string::npos);
}
