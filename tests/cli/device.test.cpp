// The whole program on a device: the emulated one, which takes minutes for what a GPU does in no time.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/npy.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("cli: [long] a fit on the emulated device ends with the table of one on the CPU") {
  TemporaryFolder folder;
  write_npy(folder / "latent.npy", hashed_input("cli/latent", {512}, DType::f32, 0.5));
  auto table = [&](const std::string& program, const std::string& device) {
    const std::string out = folder / device;
    const Outcome fit = run_program({"reconstruct", source_path("assets/heads/004_64.png"), "--latent", folder / "latent.npy", "--truth",
                                     source_path("assets/heads/004_64_depth.png"), "--scale", "0.001", "--device", device, "--json", "--out", out},
                                    {.program = program});
    INFO(fit.err);
    REQUIRE(fit.code == 0);
    return nlohmann::json::parse(fit.out).at("results").at("004_64").at("metrics");
  };
  const auto cpu = table(G2S_PROGRAM, "cpu"), cuda = table(G2S_PROGRAM_EMULATED, "cuda");
  CHECK(cpu.size() >= 6);
  REQUIRE(cuda.size() == cpu.size());
  for (const auto& [name, value] : cpu.items()) {
    INFO(name);
    if (value.is_number()) CHECK(std::abs(cuda.at(name).get<double>() / value.get<double>() - 1) < 1e-3);
  }
}
