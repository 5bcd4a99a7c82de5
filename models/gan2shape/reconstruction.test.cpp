// What the program does for an image, as a caller of the library does it.
#include "models/gan2shape/reconstruction.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "engine/context.h"
#include "engine/files.h"
#include "engine/image.h"
#include "models/drawing.h"
#include "models/gan2shape/evaluation.h"
#include "models/gan2shape/result.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

namespace fs = std::filesystem;

struct Folder {
  std::string path = temporary_name((fs::temp_directory_path() / "g2s_reconstruction").string());
  Folder() { make_folders(path); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

const WeightSource shipped = {"", {"/nowhere", source_path("assets")}};

// The shortest fit of one of the shipped heads: one iteration of every phase, no projection.
const Reconstructor& reconstructor() {
  static const Reconstructor r = load_reconstructor({.scale = 0.001}, shipped);
  return r;
}
const Tensor& latent() {
  static const Tensor given = hashed_input("reconstruction/latent", {512}, DType::f32, 0.5);
  return given;
}
const ReconstructionJob& job() {
  static const ReconstructionJob prepared = prepare_job(reconstructor(), {source_path("assets/heads/004_64.png"), "", source_path("assets/heads/004_64_depth.png")}, latent());
  return prepared;
}

// Everything that differs of a result that was written to `folder` is named. `other` has another picture.
void check_what_differs(nlohmann::json written, const std::string& folder, const Identity& other) {
  const Identity& same = job().identity;
  CHECK_NOTHROW(require_same_result(folder + "/nothing", reconstructor(), other));
  CHECK_NOTHROW(require_same_result(folder, reconstructor(), same));
  const std::string place = folder + ": has another fit's result, made with another ";
  CHECK_THROWS_WITH_AS(require_same_result(folder, reconstructor(), other), (place + "picture").c_str(), Error);
  Identity untold = same;
  untold.erase("truth");
  CHECK(differences_of(written, reconstructor(), untold).empty());
  untold["--device"] = "cuda:0";
  CHECK(differences_of(written, reconstructor(), untold) == std::vector<std::string>{"--device"});
  written["seed"] = 1;
  written["settings"]["batch"] = -1;
  CHECK(differences_of(written, reconstructor(), other) == std::vector<std::string>{"picture", "seed", "setting 'batch'"});
  written["scale"] = 2;
  CHECK(differences_of(written, reconstructor(), same) == std::vector<std::string>{"seed", "scale"});
  written["quality"] = "paper";
  CHECK(differences_of(written, reconstructor(), same) == std::vector<std::string>{"seed", "quality"});
  written["settings"]["preset"] = "car";
  CHECK(differences_of(written, reconstructor(), same) == std::vector<std::string>{"seed", "preset"});
}

}  // namespace

TEST_CASE("reconstruction: prepared, stopped, gone on with, written and measured without the program") {
  Folder folder;
  const std::string state = folder / "state", out = folder / "004_64";
  CHECK(job().input.mask_source == "u2netp");
  CHECK(job().identity.at("mask network").size() == 64);
  int iterations = 0;
  FitOptions options;
  options.state_path = state;
  options.progress = [&](const FitProgress&) {
    if (++iterations == 2) Context::current().cancel();
  };
  {
    Context context;
    const UseContext in(context);
    CHECK_THROWS_WITH_AS(start_fit(reconstructor(), job(), options)->run(), doctest::Contains("stopped in "), Error);
  }
  require_resumable(reconstructor(), job(), state);
  ReconstructionJob other = job();
  other.identity["picture"] = "another";
  CHECK_THROWS_WITH_AS(require_resumable(reconstructor(), other, state), doctest::Contains("made with another picture"), Error);

  const auto fit = start_fit(reconstructor(), job(), options, state);
  const FitResult result = fit->run();
  CHECK(iterations > 5);
  {
    Context cancelled;
    cancelled.cancel();
    const UseContext in(cancelled);
    CHECK_THROWS_WITH_AS(write_result(reconstructor(), job(), *fit, result, out), (out + ": was interrupted").c_str(), Error);
  }
  CHECK_FALSE(fs::exists(out));
  const auto written = write_result(reconstructor(), job(), *fit, result, out, {{"program", {{"version", "test"}}}});
  CHECK(is_finished(out));
  CHECK(read_result(out) == written);
  CHECK(written.at("program").at("version") == "test");
  CHECK(written.at("program").contains("threads"));
  CHECK(differences_of(written, reconstructor(), job().identity).empty());
  CHECK(differences_of(written, reconstructor(), other.identity) == std::vector<std::string>{"picture"});
  check_what_differs(written, out, other.identity);

  const Evaluation evaluation = evaluate(folder.path, source_path("assets/heads"));
  REQUIRE(evaluation.images.size() == 1);
  CHECK(evaluation.images[0].first == "004_64");
  CHECK(evaluation.images[0].second.at("side").get<double>() == doctest::Approx(written.at("metrics").at("side").get<double>()));
  CHECK(evaluation.phases.size() > 2);
  nlohmann::json unknown = written;
  unknown["settings"]["preset"] = "dog";
  write_file(out + "/result.json", unknown.dump());
  CHECK_THROWS_WITH_AS(evaluate(out, source_path("assets/heads")), doctest::Contains("result.json: does not name a preset"), Error);
}

TEST_CASE("reconstruction: a folder of other files is never replaced") {
  const Folder folder;
  CHECK_NOTHROW(require_result_or_nothing(folder / "absent"));
  CHECK_NOTHROW(require_result_or_nothing(folder.path));
  write_file(folder / "mine.txt", "mine");
  CHECK_THROWS_WITH_AS(require_result_or_nothing(folder.path), (folder.path + ": holds other files and no result, so it is not replaced").c_str(), Error);
  CHECK_THROWS_WITH_AS(require_result_or_nothing(folder / "mine.txt"), (folder / "mine.txt" + ": is not a folder").c_str(), Error);
  write_file(folder / "result.json", "{}");
  CHECK_NOTHROW(require_result_or_nothing(folder.path));
}

TEST_CASE("reconstruction: what is at fault is named as a setting or a file") {
  CHECK_THROWS_WITH_AS(load_reconstructor({.preset = "face"}, shipped), doctest::Contains("weights: the preset 'face' needs a folder with its"), Error);
  CHECK_THROWS_WITH_AS(load_reconstructor({.preset = "dog"}, shipped), doctest::Contains("preset: 'dog'"), Error);
  CHECK_THROWS_WITH_AS(load_reconstructor({.scale = 11}, shipped), "scale: 11 is not between 0 and 10", Error);
  CHECK_THROWS_WITH_AS(load_reconstructor({.memory_limit = 20 << 20}, shipped), doctest::Contains("memory_limit: 20M is less than the"), Error);
  CHECK_THROWS_WITH_AS(find_weights({"/nowhere", {}}, "default", {.lpips = true}), "/nowhere: does not exist (`weights`)", Error);
  if (!std::getenv("GAN2SHAPE_ASSETS")) CHECK_THROWS_WITH_AS(assets_folder({"/nowhere"}), doctest::Contains("GAN2SHAPE_ASSETS"), Error);
  CHECK_THROWS_WITH_AS(crop_mode_from_name("left"), "crop: 'left' is none of auto, object, none", Error);
}

TEST_CASE("drawing: the same pictures however many at a time; truncation draws them together") {
  const Generator& generator = *reconstructor().generator;
  const Tensor w = random_latents(generator, 9, 3);
  std::vector<std::int64_t> firsts;
  Tensor last, again;
  draw_images(generator, w, [&](std::int64_t first, const Tensor& images) {
    firsts.push_back(first);
    last = images;
  });
  CHECK(firsts == std::vector<std::int64_t>{0, 8});
  Tensor ninth = Tensor::empty({1, w.dim(1)});
  std::copy_n(w.data<float>() + 8 * w.dim(1), w.dim(1), ninth.mutable_data<float>());
  draw_images(generator, ninth, [&](std::int64_t, const Tensor& images) { again = images; });
  CHECK(same_bits(last, again));
  CHECK(same_bits(truncated_latents(generator, w, 1, 3), w));
  const Tensor mean = truncated_latents(generator, w, 0, 3);
  CHECK(std::equal(mean.data<float>(), mean.data<float>() + w.dim(1), mean.data<float>() + 8 * w.dim(1)));
}
