// The globals that a pickle may name, and what becomes of them.
#pragma once

#include <string_view>

#include "engine/error.h"
#include "weights_converter/pickle.h"

namespace g2s::convert {

enum class GlobalKind : std::uint8_t {
  rebuild_tensor,     // PyTorch: (storage, offset, size, stride, ..), also _v2
  rebuild_tensor_v3,  // with a dtype
  rebuild_parameter,  // (tensor, ..)
  load_from_bytes,    // (an archive)
  storage,            // torch.FloatStorage and the like
  number_type,        // torch.float32 and the like, inert
  dict, list, tuple, set,  // containers, OrderedDict and EasyDict among them
  text_encode,        // _codecs.encode(text, 'latin1'): how Python 3 writes bytes below protocol 3
  bytes,              // also bytearray: () or (bytes)
  numpy_reconstruct,  // then BUILD with shape, dtype and bytes
  numpy_scalar,       // (dtype, bytes)
  numpy_from_buffer,  // (bytes, dtype, shape, order): protocol 5
  numpy_dtype,
  class_name,         // a class that is only ever an argument: numpy.ndarray, builtins.object
  reconstructor,      // copyreg._reconstructor(class, base, state): protocols 0 and 1
  persistent_object,  // NVIDIA's wrapper: (dict with class_name, module_src and state); the source text is skipped
  instance,           // kept as an inert record: class, arguments, state
  default_dict,       // (what makes missing values): an empty dictionary
  rebuild_from_type,  // PyTorch: (function, class, arguments, attributes): a tensor with attributes of its own
  unread_tensor,      // PyTorch's sparse, quantised and other tensors: named where they are, and left out
  foreign             // any other class or function: an inert record too
};

struct KnownGlobal {
  const char *module, *name;
  GlobalKind kind;
  NumberType type = NumberType::u8;  // of a storage or a number_type
};

// Null if it is not known. Python 2's module names count as Python 3's, numpy._core as numpy.core.
const KnownGlobal* find_global(std::string_view module, std::string_view name);
// What becomes of any global.
GlobalKind kind_of_global(std::string_view module, std::string_view name);
// Functions that run programs, open files or load code. No data needs them: a file that names one is refused as a whole.
bool runs_something(std::string_view module, std::string_view name);

// What pickled values are made into.
class PickleBuilder {
 public:
  PickleBuilder(ReadContext& context, Unpickled& out) : context_(context), out_(out) {}

  const Value* global(std::string_view module, std::string_view name);        // throws naming it unless it is known
  const Value* construct(const Value* callable, const Value* arguments);       // REDUCE, NEWOBJ
  void build(const Value* target, const Value* state);                   // BUILD
  const Value* persistent(const Value* id);
  bool is_foreign(const Value* callable) const;
  // An object of an unknown class that is given items was a list or a dictionary (Kind::list, Kind::dict), and becomes a plain one.
  void become(const Value* target, Value::Kind kind);

  // Values are made by the machine and the builder alone, who may complete them.
  static Value* editable(const Value* value) { return const_cast<Value*>(value); }
  Value* make(Value::Kind kind) { return context_.arena->make(kind); }
  template <class T>
  Value* make(Value::Kind kind, T data) {
    Value* v = make(kind);
    v->data = std::move(data);
    return v;
  }
  template <class... Parts>
  [[noreturn]] void bad(const Parts&... what) const { fail(Errc::format, context_.path, "its pickle ", what...); }

 private:
  const Value* tensor(const List& a, bool with_type);
  bool holds_numbers(const Value* dtype) const;
  const Value* numpy_array(const Value* dtype, const Value* shape, bool fortran, const Value* raw);
  const Value* persistent_object(const Value* arguments, const List& a);
  const Value* tensor_with_attributes(const Object& type, const Value* arguments, const List& a);
  const Value* foreign(const Object& type, const Value* arguments);
  const Value* foreign_subclass(const Object& type, const Value* arguments, const Value* content);
  const Value* instance(const Object& type, const Value* arguments, const Value* state);
  const Value* container(const KnownGlobal& global, const List& a);
  const Value* encoded(const List& a);
  Bytes bytes_of(const Value* v) const;
  Dims dims_of(const Value* v) const;
  std::int64_t integer_of(const Value* v) const;
  SourceTensor* storage_named(const std::string& key, NumberType type, std::int64_t count);

  ReadContext& context_;
  Unpickled& out_;
  std::map<std::string, SourceTensor*> storages_;
};

}  // namespace g2s::convert
