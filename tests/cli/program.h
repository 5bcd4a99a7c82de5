// Runs the built programs as a user would.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace g2s::test {

struct Outcome {
  int code = -1;    // exit code; 128 + the signal's number if one killed it
  std::string out;  // standard output
  std::string err;  // standard error
};

struct RunOptions {
  std::string program = {};                // gan2shape unless given
  std::string folder = "/";          // working directory
  std::vector<std::string> settings = {};  // NAME=value, added to the environment
  std::size_t file_limit = 0;        // bytes that a file may have, as on a full disk; 0: no limit
  std::string interrupt_at = {};     // send SIGINT once standard error has this
};

Outcome run_program(const std::vector<std::string>& arguments, const RunOptions& options = {});

// A folder that goes away.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Every file below a folder but result.json (which holds times) by its relative path, with its SHA-256.
std::vector<std::pair<std::string, std::string>> file_hashes(const std::string& folder);
// Names directly in a folder, sorted; none if it does not exist.
std::vector<std::string> entries(const std::string& folder);

}  // namespace g2s::test
