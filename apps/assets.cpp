#include "apps/assets.h"

#include <cstdlib>
#include <filesystem>

#include "engine/error.h"

namespace g2s::app {

namespace fs = std::filesystem;

std::string assets_folder() {
  if (const char* named = std::getenv("GAN2SHAPE_ASSETS"); named && *named) {
    if (!fs::is_directory(named)) fail(Errc::io, named, "is not a folder, but GAN2SHAPE_ASSETS says that the assets are there");
    return named;
  }
  std::error_code error;
  const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& folder : {here / "../share/gan2shape/assets", here / "../../assets", fs::path(G2S_SOURCE_ASSETS)}) {
    if (fs::exists(folder / "README.md", error)) return folder.lexically_normal().string();
  }
  fail(Errc::io, "assets", "not found beside the program; set GAN2SHAPE_ASSETS to their folder");
}

std::string asset(const std::string& name) {
  const std::string path = (fs::path(assets_folder()) / name).string();
  if (!fs::exists(path)) fail(Errc::io, path, "is missing from the program's assets");
  return path;
}

}  // namespace g2s::app
