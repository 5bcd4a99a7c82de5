// What a pickle (or the dictionary of another format) holds, as inert data: no class of the file is ever looked up, nothing is ever called.
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/export.h"
#include "weights_converter/source_tensor.h"

namespace g2s { namespace convert G2S_EXPORTED {

struct Value;

// Whatever has a class: an instance (NVIDIA's networks, argparse.Namespace), or, with neither arguments nor state, the class itself.
struct Object {
  std::string module, name;         // torch_utils.persistence objects: the class that was wrapped
  const Value* arguments = nullptr;  // a tuple; null: none were seen
  const Value* state = nullptr;      // usually a dict; null: none

  bool is_class() const { return !arguments && !state; }
};

using List = std::vector<const Value*>;                          // also tuples and sets
using Dict = std::vector<std::pair<const Value*, const Value*>>;  // in the file's order; a repeated key replaces the earlier value

// One value. Values belong to a ValueArena: pointers between them are plain, and cycles are possible.
struct Value {
  enum class Kind : std::uint8_t { none, boolean, integer, big_integer, real, string, bytes, list, tuple, set, dict, object, storage, tensor };
  Kind kind = Kind::none;
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Bytes, List, Dict, Object, SourceTensor*> data;

  // Null unless it is of that kind.
  const std::string* string() const;          // also Python 2's short byte strings; not those beyond 64 KiB, which stay in the file as Bytes
  const std::int64_t* integer() const;
  const bool* boolean() const;
  const List* items() const;                  // of a list, a tuple or a set
  const Dict* dict() const;                   // dict, OrderedDict, EasyDict
  const Object* object() const;
  const SourceTensor* tensor() const;         // of PyTorch or numpy; its name is its path once the checkpoint is open
  // The value of a key of a dict, or of an object's state; null if there is none.
  const Value* get(const std::string& key) const;
  // Items of a list, tuple or set; throws nothing: null beyond its end.
  const Value* at(std::size_t index) const;
};

class ValueArena {
 public:
  // Throws Error(format) naming the file when the values outgrow the limit (a part of `allowance`).
  explicit ValueArena(std::string path) : path_(std::move(path)) {}
  Value* make(Value::Kind kind);
  SourceTensor* make_tensor();
  void charge(std::uint64_t bytes);  // memory that a value takes beside itself

 private:
  std::string path_;
  std::uint64_t charged_ = 0;
  std::deque<Value> values_;
  std::deque<SourceTensor> tensors_;
};

}}  // namespace g2s::convert
