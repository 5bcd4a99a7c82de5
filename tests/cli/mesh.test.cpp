// The mesh that a user opens.
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "engine/files.h"
#include "engine/image.h"
#include "engine/npy.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

TEST_CASE("cli: the mesh has no walls where the object reaches the edge of the picture") {
  const TemporaryFolder folder;
  write_png(folder / "white.png", Tensor::full({64, 64, 1}, 255, DType::u8));
  write_npy(folder / "latent.npy", hashed_input("cli/latent", {512}, DType::f32, 0.5));
  const Outcome outcome = run_program({"reconstruct", source_path("assets/heads/004_64.png"), "--mask", folder / "white.png", "--latent",
                                       folder / "latent.npy", "--scale", "0.001", "--out", folder / "out"});
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  // Texture coordinates are columns of the shape: of its 64 the outer two on each side are pulled back to the background.
  double left = 63, right = 0;
  std::istringstream lines(read_file(folder / "out/004_64/mesh.obj"));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("vt ", 0) != 0) continue;
    const double u = std::stod(line.substr(3)), column = (u * 256 - 0.5) * 63 / 255;
    left = std::min(left, column);
    right = std::max(right, column);
  }
  CHECK(left == doctest::Approx(2).epsilon(1e-3));
  CHECK(right == doctest::Approx(61).epsilon(1e-3));
}
