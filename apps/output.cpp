#include "apps/output.h"

#include <filesystem>

#include "engine/error.h"
#include "engine/files.h"

namespace g2s::app {

namespace fs = std::filesystem;

void require_output_folder(const std::string& folder) {
  std::error_code error;
  fs::path existing = fs::absolute(folder, error).lexically_normal();
  while (!existing.empty() && !fs::exists(existing, error) && existing != existing.root_path()) existing = existing.parent_path();
  if (!fs::is_directory(existing, error)) fail(Errc::io, existing.string(), "is not a folder, so ", folder, " cannot be made (--out)");
  require_writable_folder(existing.string());
}

ResultFolder::ResultFolder(const std::string& path) : path_(path), temporary_(temporary_name(path)) { make_folders(temporary_); }

ResultFolder::~ResultFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void ResultFolder::commit() {
  // A folder with content cannot be renamed over another: the old one steps aside first and comes back if that fails.
  const std::string old = temporary_name(path_);
  const bool replaces = fs::exists(path_);
  if (replaces) rename_path(path_, old);
  try {
    rename_path(temporary_, path_);
  } catch (...) {
    if (replaces) rename_path(old, path_);
    throw;
  }
  committed_ = true;
  std::error_code ignored;
  if (replaces) fs::remove_all(old, ignored);
}

bool is_finished(const std::string& folder) { return fs::exists(fs::path(folder) / "result.json"); }

nlohmann::json read_result(const std::string& folder) {
  const std::string path = folder + "/result.json";
  nlohmann::json result = nlohmann::json::parse(read_file(path), nullptr, false);
  if (!result.is_object()) fail(Errc::format, path, "is not JSON");
  return result;
}

}  // namespace g2s::app
