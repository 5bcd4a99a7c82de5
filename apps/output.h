// Folders of results: OUT/STEM appears when it is complete, and what was there before stays until then.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace g2s::app {

// Throws unless `folder` exists and can be written to, or can be made. Makes nothing.
void require_output_folder(const std::string& folder);

// A result folder under a temporary name; commit() puts it in place of an earlier one, anything else removes it.
class ResultFolder {
 public:
  explicit ResultFolder(const std::string& path);
  ~ResultFolder();
  ResultFolder(const ResultFolder&) = delete;
  ResultFolder& operator=(const ResultFolder&) = delete;
  const std::string& temporary() const { return temporary_; }  // write here
  void commit();

 private:
  std::string path_, temporary_;
  bool committed_ = false;
};

// OUT/STEM is finished: it holds a result.json.
bool is_finished(const std::string& folder);
// Throws Error(format) naming it if it is damaged.
nlohmann::json read_result(const std::string& folder);

}  // namespace g2s::app
