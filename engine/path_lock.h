// One process at a time at a file or folder that is made in a long time.
#pragma once

#include <string>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

// Held on PATH.lock, which goes with it. It dies with its process, however that ends; the file that is left then holds nobody back.
class PathLock {
 public:
  // Throws Error(io) naming `path` and who is at it.
  explicit PathLock(const std::string& path);
  ~PathLock();
  PathLock(const PathLock&) = delete;
  PathLock& operator=(const PathLock&) = delete;
  // No: the file system knows no locks, which the context's log was told.
  bool held() const { return held_; }

 private:
  std::string file_;
  int fd_ = -1;
  bool held_ = false;
};

}  // namespace g2s
