// A file, mapped into memory for reading.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

class MappedFile {
 public:
  // Throws Error(io) naming the file if it is absent, a folder, no regular file or unreadable.
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* data() const { return data_; }  // null if the file is empty
  std::size_t size() const { return size_; }

 private:
  MappedFile(const char* data, std::size_t size) : data_(data), size_(size) {}
  const char* data_;
  std::size_t size_;
};

}  // namespace g2s
