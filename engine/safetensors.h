// The safetensors container: reader (memory-mapped, every offset checked) and writer (streamed to a temporary name, then renamed).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/tensor.h"

namespace g2s {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

class SafetensorsFile {
 public:
  struct Entry {
    std::string name;
    DType dtype;  // what get() gives
    Shape shape;
    std::size_t begin = 0, end = 0;  // bytes within the data section
    std::string stored;          // the dtype as the file names it: F32, I64, ...
  };

  // Throws Error(io) if it cannot be read, Error(format) naming the file and the tensor if it is truncated, overlaps or lies.
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return path_; }
  const std::vector<Entry>& entries() const { return entries_; }  // in file order
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool contains(const std::string& name) const;
  const Entry& entry(const std::string& name) const;  // throws naming file and tensor if absent
  // The tensor as stored (layout untouched), constant, backed by the mapping where its bytes are aligned. Throws naming file and tensor if
  // absent. BOOL comes as u8, I8, U16, I16 and I64 as i32 (throws if a value does not fit).
  Tensor get(const std::string& name) const;

 private:
  std::string path_;
  std::shared_ptr<const void> mapping_;
  const char* data_ = nullptr;
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t> index_;
  std::map<std::string, std::string> metadata_;
};

// Tensors are written in the given order; bytes depend on the arguments alone. An existing file is replaced only when the new one is complete.
void write_safetensors(const std::string& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata = {});

}  // namespace g2s
