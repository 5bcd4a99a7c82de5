#include "models/gan2shape/preset_choice.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "engine/error.h"
#include "engine/image.h"
#include "models/face/finder.h"

namespace g2s {
namespace {

namespace fs = std::filesystem;

constexpr const char* generator_of_faces = "mobilestylegan.safetensors";

bool has_generator(const fs::path& folder) { return fs::exists(folder / generator_of_faces); }

}  // namespace

std::string folder_of_faces(const WeightSource& source, int size) {
  const std::string names[] = {size == 64 ? "ffhq128" : "ffhq256", size == 64 ? "ffhq256" : "ffhq128"};
  for (const std::string& name : names)
    for (const fs::path& folder : {fs::path("weights"), fs::path(assets_folder(source.assets))})
      if (has_generator(folder / name)) return (folder / name).string();
  return {};
}

PresetChoice choose_preset(const std::vector<std::string>& pictures, const WeightSource& source, int size) {
  if (!source.folder.empty()) {
    const bool faces = has_generator(source.folder) && !fs::exists(fs::path(source.folder) / "stylegan2_g.safetensors");
    return faces ? PresetChoice{"ffhq", source.folder, ""} : PresetChoice{"default", source.folder, ""};
  }
  std::optional<FaceFinder> find;  // loaded for the first photograph
  std::string with_face, without;
  for (const std::string& picture : pictures) {
    Image image;
    try {
      image = read_image(picture);
    } catch (const Error&) {
      continue;  // whoever reads it to work on it says what is wrong
    }
    if (std::max(image.width(), image.height()) <= max_head_side) {
      without = picture;
      continue;
    }
    if (!find) {
      const WeightPaths paths = find_weights(source, "default", {.faces = true});
      find.emplace(SafetensorsFile(paths.face_detector), SafetensorsFile(paths.face_landmarks));
    }
    ((*find)(image.rgb).empty() ? without : with_face) = picture;
  }
  if (with_face.empty()) return {"default", "", ""};
  if (!without.empty()) {
    fail(Errc::invalid_argument, "preset", with_face, " shows a face and ", without, " does not: say which preset is meant, ffhq or default, or give them one by one");
  }
  const std::string folder = folder_of_faces(source, size);
  if (folder.empty()) {
    fail(Errc::invalid_argument, with_face, "shows a face, and the generator of photographs of faces is not here: `make faces` fetches it into weights/ffhq256 ",
         "(38 MB, docs/faces.md); `preset` default fits the generator of rendered heads, which knows no photographs");
  }
  return {"ffhq", folder, "it shows a face: preset ffhq, with the weights in " + folder};
}

}  // namespace g2s
