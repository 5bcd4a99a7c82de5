#include "models/gan2shape/weights.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "engine/error.h"
#include "engine/files.h"
#include "tests/cli/program.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

constexpr WeightNeeds needs_of_faces = {.generator = true, .lpips = true, .faces = true, .directions = true, .any_discriminator = true};

WeightSource folder_of(const TemporaryFolder& folder) { return {folder.path(), {}, source_path("assets")}; }

}  // namespace

TEST_CASE("weights of faces: MobileStyleGAN and its directions from the user's folder, a discriminator where there is one") {
  const TemporaryFolder folder;
  write_file(folder / "mobilestylegan.safetensors", "");
  write_file(folder / "pose_directions.safetensors", "");
  for (const char* name : {"face_detector.safetensors", "face_landmarks.safetensors"}) write_file(folder / name, "");
  const WeightPaths paths = find_weights(folder_of(folder), "ffhq", needs_of_faces);
  CHECK(paths.generator == folder / "mobilestylegan.safetensors");
  CHECK(paths.directions == folder / "pose_directions.safetensors");
  CHECK(paths.discriminator.empty());
  CHECK(paths.lpips == source_path("assets/lpips_vgg.safetensors"));
  CHECK(paths.face_detector == folder / "face_detector.safetensors");
  CHECK(paths.face_landmarks == folder / "face_landmarks.safetensors");
  CHECK(paths.depth_prior.empty());

  write_file(folder / "stylegan2_d.safetensors", "");
  CHECK(find_weights(folder_of(folder), "ffhq", needs_of_faces).discriminator == folder / "stylegan2_d.safetensors");
  write_file(folder / "stylegan2_g.safetensors", "");
  CHECK(find_weights(folder_of(folder), "ffhq", needs_of_faces).generator == folder / "stylegan2_g.safetensors");
}

TEST_CASE("weights of faces: what is missing is named") {
  const TemporaryFolder folder;
  auto find = [&](const WeightNeeds& needs) { return find_weights(folder_of(folder), "ffhq", needs); };
  CHECK_THROWS_WITH_AS(find({.generator = true}), (folder.path() + ": has no stylegan2_g.safetensors, which the preset 'ffhq' needs").c_str(), Error);
  write_file(folder / "mobilestylegan.safetensors", "");
  CHECK(find({.generator = true}).directions.empty());
  CHECK_THROWS_WITH_AS(find({.generator = true, .directions = true}), (folder / "pose_directions.safetensors" + ": is missing; `make faces` writes it for its generator, `gan2shape prior` finds it for others").c_str(), Error);
  CHECK_THROWS_WITH_AS(find({.generator = true, .discriminator = true}),
                       (folder / "stylegan2_d.safetensors" + ": is missing; generator and discriminator come from one folder").c_str(), Error);
}
