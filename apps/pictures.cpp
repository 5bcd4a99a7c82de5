#include "apps/pictures.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "engine/error.h"
#include "engine/image.h"

namespace g2s::app {
namespace {

namespace fs = std::filesystem;

const std::string depth_ending = "_depth.png";

// Documents may show pictures, but are none of the pictures in a folder.
bool is_document(const fs::path& path) { return path.extension() == ".pdf" || path.extension() == ".svg"; }

// Does the folder hold what NAME_depth.png would be the true depth of?
bool is_true_depth(const std::string& name, const std::set<std::string>& stems) {
  return name.ends_with(depth_ending) && stems.count(name.substr(0, name.size() - depth_ending.size())) > 0;
}

std::vector<std::string> pictures_in(const std::string& folder) {
  std::vector<std::string> found;
  std::set<std::string> stems;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name[0] == '.' || !it->is_regular_file() || is_document(name) || !is_image(it->path().string())) continue;
    found.push_back(it->path().string());
    stems.insert(it->path().stem().string());
  }
  if (error) fail(Errc::io, folder, "cannot be read: ", error.message());
  std::erase_if(found, [&](const std::string& path) { return is_true_depth(fs::path(path).filename().string(), stems); });
  std::sort(found.begin(), found.end());
  return found;
}

// More and more of what tells a picture from others of its stem.
std::string name_of(const std::string& path, int level) {
  const fs::path p(path);
  std::string name = p.stem().string();
  if (name == "." || name == "..") name = p.filename().string();  // "...png": no folder is called that
  if (level == 0) return name;
  if (p.has_extension()) name += "_" + p.extension().string().substr(1);
  if (level == 1) return name;
  std::error_code error;
  const std::string folder = fs::absolute(p, error).lexically_normal().parent_path().filename().string();
  return folder.empty() ? name : folder + "_" + name;
}

// At most `level` of it: those whose names are alike go on to the next.
void tell_apart(std::vector<Picture>& pictures) {
  for (int level = 1; level <= 2; ++level) {
    std::map<std::string, int> count;
    for (const Picture& p : pictures) ++count[p.name];
    for (Picture& p : pictures)
      if (count[p.name] > 1) p.name = name_of(p.path, level);
  }
  std::set<std::string> taken;
  for (Picture& p : pictures) {
    const std::string name = p.name;
    for (int number = 2; !taken.insert(p.name).second; ++number) p.name = str(name, "_", number);
  }
}

}  // namespace

std::vector<Picture> list_pictures(const std::vector<std::string>& named) {
  std::vector<Picture> out;
  std::set<fs::path> known;
  auto add = [&](const std::string& path) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(path, error);
    if (known.insert(error ? fs::path(path) : real).second) out.push_back({path, name_of(path, 0)});
  };
  for (const std::string& path : named) {
    const std::vector<std::string> inside = fs::is_directory(path) ? pictures_in(path) : std::vector<std::string>{};
    if (inside.empty()) add(path);
    for (const std::string& picture : inside) add(picture);
  }
  tell_apart(out);
  return out;
}

void require_picture(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) fail(Errc::io, path, "does not exist");
  if (fs::is_directory(path, error)) fail(Errc::io, path, "is a folder without a picture in it");
}

}  // namespace g2s::app
