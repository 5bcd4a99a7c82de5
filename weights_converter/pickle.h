// Python's pickles as inert values. The machine knows the opcodes of protocols 0 to 5 and the globals of pickle_globals.cpp; it looks up no
// class, calls nothing, and refuses every other global by its name.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "weights_converter/value.h"

namespace g2s::convert {

// What the pickles of one file share: the owner of their values, and how much may still be done.
class ReadContext {
 public:
  ReadContext(std::string file, std::uint64_t file_bytes)
      : path(std::move(file)), arena(std::make_shared<ValueArena>(path)), work_(file_bytes + (1u << 20)) {}

  const std::string path;
  const std::shared_ptr<ValueArena> arena;
  int depth = 0;  // of archives within pickles
  std::vector<std::string> foreign;  // the first unknown classes that objects were made of, each once

  // Opcodes run and bytes of nested archives read. A file has each of them once, so that its length bounds their number; one that makes
  // more of itself is refused.
  void spend(std::uint64_t work);

 private:
  std::uint64_t work_;
};

// A storage that a persistent id names: its numbers lie elsewhere in the file.
struct NamedStorage {
  std::string key;
  SourceTensor* numbers = nullptr;  // one-dimensional; `storage` is set by the reader of the file
};
struct StorageView {
  SourceTensor *view = nullptr, *root = nullptr;  // old files: a part of another storage
  std::int64_t begin = 0;
};
struct Rebuilt {
  SourceTensor* tensor = nullptr;
  const SourceTensor* storage = nullptr;
};

struct Unpickled {
  const Value* root = nullptr;
  std::uint64_t end = 0;  // of the pickle, in the given bytes
  std::vector<NamedStorage> storages;  // each key once
  std::vector<StorageView> views;
  std::vector<Rebuilt> tensors;
};

// Reads one pickle that starts at `begin`. Tensors have no bytes before bind_tensors().
Unpickled unpickle(ReadContext& context, const Bytes& bytes, std::uint64_t begin = 0);

// Once every named storage has its bytes: gives them to views and tensors, and checks that each tensor lies within its storage.
void bind_tensors(ReadContext& context, const Unpickled& unpickled);

// The value of torch.storage._load_from_bytes: a whole archive within a pickle (pytorch.cpp).
const Value* read_nested_archive(ReadContext& context, const Bytes& bytes);

}  // namespace g2s::convert
