// The safetensors container: reader (memory-mapped, every offset checked) and writer (streamed to a temporary name, then renamed).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/export.h"
#include "engine/files.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

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
  // A file's content that is in memory already, kept there by `owner`; `path` is for messages.
  SafetensorsFile(const std::string& path, std::string_view content, std::shared_ptr<const void> owner);

  const std::string& path() const { return path_; }
  const std::vector<Entry>& entries() const { return entries_; }  // in file order
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool contains(const std::string& name) const;
  const Entry& entry(const std::string& name) const;  // throws naming file and tensor if absent
  // The tensor as stored (layout untouched), constant, backed by the mapping where its bytes are aligned. Throws naming file and tensor if
  // absent. BOOL comes as u8, I8, U16, I16 and I64 as i32 (throws if a value does not fit).
  Tensor get(const std::string& name) const;
  std::string_view bytes(const std::string& name) const;  // the tensor's bytes as they lie in the file, valid while this object or a copy lives

 private:
  void parse(std::string_view content);
  std::string path_;
  std::shared_ptr<const void> mapping_;
  const char* data_ = nullptr;
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t> index_;
  std::map<std::string, std::string> metadata_;
};

// Tensors are written in the given order; bytes depend on the arguments alone. An existing file is replaced only when the new one is complete.
void write_safetensors(const std::string& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata = {});

// Writes a file piece by piece, for tensors that nobody wants in memory at once.
class SafetensorsWriter {
 public:
  struct Item {
    std::string name, stored;  // stored: the dtype as the file names it
    std::vector<std::int64_t> shape;
    std::uint64_t bytes = 0;
  };
  SafetensorsWriter(const std::string& path, std::vector<Item> items, std::map<std::string, std::string> metadata,
                    Durability durability = Durability::power_cut);
  ~SafetensorsWriter();
  void write(const void* data, std::size_t bytes);  // the items' bytes, one after another, in pieces of any size
  // A value known only at the end, a checksum: takes the place of one of the same length.
  void replace_metadata(const std::string& key, const std::string& value);
  void commit();  // without it nothing is left behind

 private:
  void check_name(const std::string& name, std::set<std::string>& names) const;
  std::string header() const;
  std::string path_;
  std::vector<Item> items_;
  std::map<std::string, std::string> metadata_;
  std::uint64_t header_bytes_ = 0, total_ = 0, written_ = 0;
  std::unique_ptr<AtomicFile> file_;
};

}  // namespace g2s
