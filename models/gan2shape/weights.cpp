#include "models/gan2shape/weights.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/error.h"

namespace g2s {
namespace {

namespace fs = std::filesystem;

const char* const generator_file = "stylegan2_g.safetensors";
const char* const mobile_generator_file = "mobilestylegan.safetensors";
const char* const discriminator_file = "stylegan2_d.safetensors";
const char* const directions_file = "pose_directions.safetensors";
const char* const depth_prior_file = "depth_prior.safetensors";

class Finder {
 public:
  explicit Finder(const WeightSource& source) : source_(source) {
    const std::string& folder = source.folder;
    if (!folder.empty() && !fs::is_directory(folder)) fail(Errc::io, folder, fs::exists(folder) ? "is not a folder" : "does not exist", " (`weights`)");
  }
  std::string own(const char* name) const { return (fs::path(source_.folder) / name).string(); }
  bool has(const char* name) const { return !source_.folder.empty() && fs::exists(own(name)); }
  std::string own_or_asset(const char* name) const { return has(name) ? own(name) : asset(name); }
  std::string asset(const char* name) const {
    const std::string folder = source_.only_assets.empty() ? assets_folder(source_.assets) : source_.only_assets;
    const std::string path = (fs::path(folder) / name).string();
    if (!fs::exists(path)) fail(Errc::io, path, "is missing from the program's assets");
    return path;
  }
  // What the user's folder has, or ought to have.
  const char* generator() const { return !has(generator_file) && has(mobile_generator_file) ? mobile_generator_file : generator_file; }
  // Whether generator and discriminator are the user's.
  bool own_gan(const std::string& preset, WeightNeeds needs) const {
    const bool has_g = has(generator()), has_d = has(discriminator_file);
    if (has_g || has_d) {
      for (const char* name : {needs.generator && !has_g ? generator() : nullptr, needs.discriminator && !has_d ? discriminator_file : nullptr})
        if (name) fail(Errc::io, own(name), "is missing; generator and discriminator come from one folder");
      return true;
    }
    if (preset == "default") return false;
    const std::string wanted = needs.discriminator ? str(generator_file, " and ", discriminator_file) : generator_file;
    if (source_.folder.empty()) fail(Errc::invalid_argument, "weights", "the preset '", preset, "' needs a folder with its ", wanted);
    fail(Errc::io, source_.folder, "has no ", wanted, ", which the preset '", preset, "' needs");
  }

 private:
  const WeightSource& source_;
};

// Of the shared library or the program that this function is in, as the system knows it: the working directory does not count.
fs::path folder_of_this_code() {
  const auto here = reinterpret_cast<std::uintptr_t>(&folder_of_this_code);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t first = 0, last = 0;
    int path = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %*s %*s %*s %*s %n", &first, &last, &path) < 2 || here < first || here >= last || path == 0) continue;
    return fs::path(line.substr(static_cast<std::size_t>(path))).parent_path();
  }
  return {};
}

}  // namespace

std::vector<std::string> default_asset_places() {
  const fs::path here = folder_of_this_code();
  return {(here / "assets").string(), (here / "../share/gan2shape/assets").string(), (here / "../../share/gan2shape/assets").string()};
}

std::string assets_folder(const std::vector<std::string>& places) {
  if (const char* named = std::getenv("GAN2SHAPE_ASSETS"); named && *named) {
    if (!fs::is_directory(named)) fail(Errc::io, named, "is not a folder, but GAN2SHAPE_ASSETS says that the assets are there");
    return named;
  }
  std::error_code error;
  for (const std::string& place : places)
    if (fs::exists(fs::path(place) / "README.md", error)) return fs::path(place).lexically_normal().string();
  fail(Errc::io, "assets", "not found beside the library; set GAN2SHAPE_ASSETS to their folder");
}

WeightPaths find_weights(const WeightSource& source, const std::string& preset, WeightNeeds needs) {
  const Finder finder(source);
  WeightPaths paths;
  if (needs.generator || needs.discriminator) {
    const bool own = finder.own_gan(preset, needs);
    auto path = [&](const char* name) { return own ? finder.own(name) : finder.asset(name); };
    if (needs.generator) paths.generator = path(own ? finder.generator() : generator_file);
    if (needs.discriminator) paths.discriminator = path(discriminator_file);
  }
  if (needs.directions) {
    paths.directions = finder.own(directions_file);
    if (!finder.has(directions_file)) fail(Errc::io, paths.directions, "is missing; `make faces` writes it for its generator, `gan2shape prior` finds it for others");
  }
  if (needs.any_discriminator && finder.has(discriminator_file)) paths.discriminator = finder.own(discriminator_file);
  if (needs.lpips) paths.lpips = finder.own_or_asset("lpips_vgg.safetensors");
  if (needs.u2netp) paths.u2netp = finder.own_or_asset("u2netp.safetensors");
  if (needs.faces) paths.face_detector = finder.own_or_asset("face_detector.safetensors");
  if (needs.faces) paths.face_landmarks = finder.own_or_asset("face_landmarks.safetensors");
  const bool shipped = preset == "default" || preset == "synface";
  if (needs.depth_prior && (shipped || finder.has(depth_prior_file))) paths.depth_prior = finder.own_or_asset(depth_prior_file);
  return paths;
}

}  // namespace g2s
