// The whole program on a device: the emulated one, which takes minutes for what a GPU does in no time.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/npy.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;
using nlohmann::json;

namespace {

void compare(const json& got, const json& want, double tolerance) {
  CHECK(got.size() == want.size());
  for (const auto& [name, value] : want.items()) {
    INFO(name);
    CHECK(got.at(name).get<double>() == doctest::Approx(value.get<double>()).epsilon(tolerance).scale(0));
  }
}

}  // namespace

// Until an optimiser has moved a network both compute the same. Then Adam's first steps have the size of its rate and the sign of each gradient,
// which rounding decides where there is next to none: the CPU's instruction sets differ by as much from each other (side by 0.0014 of it).
TEST_CASE("cli: [long] a fit on the emulated device, from end to end, is that on the CPU") {
  TemporaryFolder folder;
  write_npy(folder / "latent.npy", hashed_input("cli/latent", {512}, DType::f32, 0.5));
  auto run = [&](const std::string& program, const std::string& device) {
    const Outcome fit = run_program({"reconstruct", source_path("assets/heads/004_64.png"), "--latent", folder / "latent.npy", "--truth",
                                     source_path("assets/heads/004_64_depth.png"), "--scale", "0.001", "--device", device, "--json", "--out",
                                     folder / device},
                                    {.program = program});
    INFO(fit.err);
    REQUIRE(fit.code == 0);
    return json::parse(fit.out).at("results").at("004_64");
  };
  const json cpu = run(G2S_PROGRAM, "cpu"), cuda = run(G2S_PROGRAM_EMULATED, "cuda");
  int compared = 0;
  for (std::size_t i = 0; i < cpu.at("phases").size(); ++i) {
    const json& want = cpu.at("phases")[i];
    if (!want.contains("first_losses")) continue;
    INFO(want.at("phase").get<std::string>());
    compare(cuda.at("phases").at(i).at("first_losses"), want.at("first_losses"), want.at("phase") == "step3" ? 2e-3 : 1e-5);
    ++compared;
  }
  CHECK(compared == 4);
  CHECK(cpu.at("metrics").size() >= 6);
  compare(cuda.at("metrics"), cpu.at("metrics"), 1e-2);
}
