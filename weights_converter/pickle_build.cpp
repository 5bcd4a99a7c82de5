#include <algorithm>
#include <cstring>

#include "weights_converter/numbers.h"
#include "weights_converter/numpy_types.h"
#include "weights_converter/pickle_globals.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

using Kind = Value::Kind;

bool is_class(const Object* o) { return o && o->is_class(); }

}  // namespace

const Value* PickleBuilder::global(std::string_view module, std::string_view name) {
  if (!find_global(module, name) && runs_something(module, name)) {
    fail(Errc::format, context_.path, "its pickle asks for ", printable(module), ".", printable(name),
         ", which is no part of a checkpoint's data: refused, and nothing was run");
  }
  return make(Kind::object, Object{std::string(module), std::string(name)});
}

const Value* PickleBuilder::construct(const Value* callable, const Value* arguments) {
  const Object* type = callable->object();
  if (!type || arguments->kind != Kind::tuple) bad("calls something that is no class or function");
  if (is_foreign(callable)) return foreign(*type, arguments);
  const KnownGlobal& global = *find_global(type->module, type->name);
  const List& a = *arguments->items();
  switch (global.kind) {
    case GlobalKind::rebuild_tensor: return tensor(a, false);
    case GlobalKind::rebuild_tensor_v3: return tensor(a, true);
    case GlobalKind::rebuild_parameter:
      if (a.empty() || !(a[0]->tensor() || a[0]->object())) bad("has a parameter without its tensor");
      return a[0];
    case GlobalKind::rebuild_from_type: return tensor_with_attributes(*type, arguments, a);
    case GlobalKind::default_dict: return make(Kind::dict, Dict{});
    case GlobalKind::load_from_bytes:
      if (a.size() != 1) bad("has a malformed nested archive");
      return read_nested_archive(context_, bytes_of(a[0]));
    case GlobalKind::dict:
    case GlobalKind::list:
    case GlobalKind::tuple:
    case GlobalKind::set: return container(global, a);
    case GlobalKind::text_encode: return encoded(a);
    case GlobalKind::bytes:
      if (a.size() == 2) return encoded(a);
      return make(Kind::bytes, a.empty() ? Bytes{} : bytes_of(a[0]));
    case GlobalKind::numpy_reconstruct: return make(Kind::object, Object{"numpy", "ndarray", arguments});
    case GlobalKind::numpy_dtype: return make(Kind::object, Object{"numpy", "dtype", arguments});
    case GlobalKind::numpy_scalar:
      if (a.size() != 2) bad("has a malformed numpy scalar");
      return numpy_array(a[0], make(Kind::tuple, List{}), false, a[1]);
    case GlobalKind::numpy_from_buffer:
      if (a.size() != 4 || !a[3]->string()) bad("has a malformed numpy array");
      return numpy_array(a[1], a[2], *a[3]->string() == "F", a[0]);
    case GlobalKind::reconstructor:
      if (a.size() != 3 || !is_class(a[0]->object())) bad("has a malformed object");
      return instance(*a[0]->object(), arguments, a[2]);
    case GlobalKind::persistent_object: return persistent_object(arguments, a);
    case GlobalKind::unread_tensor:
    case GlobalKind::instance: return make(Kind::object, Object{type->module, type->name, arguments, nullptr});
    case GlobalKind::foreign:
    case GlobalKind::storage:
    case GlobalKind::number_type:
    case GlobalKind::class_name: break;
  }
  bad("calls ", type->module, ".", type->name, ", which is only ever named");
}

const Value* PickleBuilder::instance(const Object& type, const Value* arguments, const Value* state) {
  const GlobalKind kind = kind_of_global(type.module, type.name);
  if (kind == GlobalKind::foreign) return foreign_subclass(type, arguments, state);
  if (kind == GlobalKind::dict) {  // of protocols 0 and 1: its entries are the state of its base class
    if (!state || !state->dict()) return make(Kind::dict, Dict{});
    context_.arena->charge(state->dict()->size() * sizeof(Dict::value_type));
    return make(Kind::dict, *state->dict());
  }
  if (kind != GlobalKind::instance) bad("makes an object of ", type.module, ".", type.name);
  return make(Kind::object, Object{type.module, type.name, arguments, nullptr});
}

const Value* PickleBuilder::persistent_object(const Value* arguments, const List& a) {
  const Value* meta = a.size() == 1 ? a[0] : nullptr;
  if (meta && meta->dict()) context_.spend(meta->dict()->size());
  const Value *name = meta ? meta->get("class_name") : nullptr, *state = meta ? meta->get("state") : nullptr;
  if (!name || !name->string() || !state) bad("has a malformed object of torch_utils.persistence");
  return make(Kind::object, Object{"torch_utils.persistence", *name->string(), arguments, state});
}

const Value* PickleBuilder::container(const KnownGlobal& global, const List& a) {
  if (a.size() > 1) bad("makes a ", global.name, " of ", a.size(), " arguments");
  const Kind kind = global.kind == GlobalKind::dict    ? Kind::dict
                    : global.kind == GlobalKind::list  ? Kind::list
                    : global.kind == GlobalKind::tuple ? Kind::tuple
                                                       : Kind::set;
  const List* given = a.empty() ? nullptr : a[0]->items();
  if (!a.empty() && !given && !(kind == Kind::dict && a[0]->dict())) bad("makes a ", global.name, " of something else");
  if (given) context_.arena->charge(given->size() * sizeof(Dict::value_type));
  if (kind != Kind::dict) return make(kind, given ? *given : List{});
  Dict entries;
  if (!given && !a.empty()) {
    entries = *a[0]->dict();
    context_.arena->charge(entries.size() * sizeof(Dict::value_type));
  }
  for (const Value* pair : given ? *given : List{}) {  // Python 2's OrderedDict
    const List* two = pair->items();
    if (!two || two->size() != 2) bad("has a dictionary with an entry that is no pair");
    entries.emplace_back((*two)[0], (*two)[1]);
  }
  return make(Kind::dict, std::move(entries));
}

const Value* PickleBuilder::encoded(const List& a) {
  const std::string* codec = a.size() == 2 ? a[1]->string() : nullptr;
  if (!codec || (*codec != "latin1" && *codec != "latin-1")) bad("encodes text by something else than latin1");
  const Bytes text = bytes_of(a[0]);
  context_.spend(text.size);
  return make(Kind::bytes, decode_latin1(context_.path, text));
}

void PickleBuilder::build(const Value* value, const Value* state) {
  Value* target = editable(value);
  Object* object = std::get_if<Object>(&target->data);
  if (!object) {
    // Attributes that a subclass of dict or a tensor carries beside its content (_metadata of a state_dict) say nothing about numbers.
    if (target->kind == Kind::dict || target->kind == Kind::tensor || target->kind == Kind::set || target->kind == Kind::list) return;
    bad("gives a state to something that has none");
  }
  if (object->is_class()) bad("gives a state to the class ", object->module, ".", object->name);
  if (object->module != "numpy" || object->name != "ndarray") {
    object->state = state;
    return;
  }
  const List* a = state->items();  // (version, shape, dtype, fortran, bytes); the version is younger than the rest
  const std::size_t first = a && a->size() == 5 ? 1 : 0;
  if (!a || a->size() != first + 4 || !(*a)[first + 2]) bad("has a malformed numpy array");
  const Value* order = (*a)[first + 2];
  const bool fortran = order->boolean() ? *order->boolean() : integer_of(order) != 0;
  const Value* array = numpy_array((*a)[first + 1], (*a)[first], fortran, (*a)[first + 3]);
  target->kind = array->kind;
  target->data = array->data;
}

const Value* PickleBuilder::numpy_array(const Value* dtype, const Value* shape, bool fortran, const Value* raw) {
  if (!holds_numbers(dtype)) return foreign({"numpy", "ndarray of texts, dates or records"}, make(Kind::tuple, List{}));
  const NumpyDescription type = describe_numpy(context_.path, dtype);
  if (type.objects) {  // any Python values: a list will do, and the value itself where there are no dimensions
    if (!raw->items()) bad("has a numpy array of objects without its objects");
    context_.arena->charge(raw->items()->size() * sizeof(void*));
    if (dims_of(shape).empty() && raw->items()->size() == 1) return (*raw->items())[0];
    return make(Kind::list, *raw->items());
  }
  SourceTensor* t = context_.arena->make_tensor();
  t->name = "(numpy array)";
  t->type = type.type;
  t->big_endian = type.big_endian;
  t->shape = dims_of(shape);
  t->strides = fortran ? column_major(t->shape) : row_major(t->shape);
  t->storage = bytes_of(raw);
  if (t->bytes() != t->storage.size) {
    bad("has a numpy array ", convert::describe(t->type, t->shape), " with ", t->storage.size, " bytes");
  }
  return make(Kind::tensor, t);
}

const Value* PickleBuilder::tensor(const List& a, bool with_type) {
  if (a.size() < (with_type ? 7u : 4u) || a[0]->kind != Kind::storage) bad("has a malformed tensor");
  const SourceTensor* numbers = std::get<SourceTensor*>(a[0]->data);
  SourceTensor* t = context_.arena->make_tensor();
  t->name = "(tensor)";
  t->type = numbers->type;
  if (with_type) {
    const Object* type = a[6]->object();
    const KnownGlobal* known = type ? find_global(type->module, type->name) : nullptr;
    if (!type || !type->is_class()) bad("has a tensor of no known type");
    if (!known || known->kind != GlobalKind::number_type) return make(Kind::object, Object{"torch", type->name, make(Kind::tuple, List{})});
    t->type = known->type;
  }
  t->offset = integer_of(a[1]);
  t->shape = dims_of(a[2]);
  t->strides = dims_of(a[3]);
  if (t->offset < 0 || t->strides.size() != t->shape.size()) bad("has a malformed tensor");
  out_.tensors.push_back({t, numbers});
  return make(Kind::tensor, t);
}

SourceTensor* PickleBuilder::storage_named(const std::string& key, NumberType type, std::int64_t count) {
  if (auto found = storages_.find(key); found != storages_.end()) {
    if (found->second->type != type || found->second->shape[0] != count) bad("names storage ", printable(key), " twice with different sizes");
    return found->second;
  }
  SourceTensor* numbers = context_.arena->make_tensor();
  numbers->name = "storage " + key;
  numbers->type = type;
  numbers->shape = {count};
  numbers->strides = {1};
  context_.arena->charge(3 * key.size() + 64);
  storages_.emplace(key, numbers);
  out_.storages.push_back({key, numbers});
  return numbers;
}

// ('storage', class, key, location, count) and, in files of before PyTorch 1.6, None or (key, offset, count) of a view.
const Value* PickleBuilder::persistent(const Value* id) {
  const List* a = id->items();
  const std::string* tag = a && !a->empty() ? (*a)[0]->string() : nullptr;
  if (tag && *tag == "module" && a->size() > 1 && is_class((*a)[1]->object())) return (*a)[1];  // (.., source file, source)
  if (!tag || *tag != "storage" || a->size() < 5 || a->size() > 6) bad("refers to something outside of it that is no storage");
  const Object* type = (*a)[1]->object();
  const KnownGlobal* known = is_class(type) ? find_global(type->module, type->name) : nullptr;
  const std::string* key = (*a)[2]->string();
  if (!known || known->kind != GlobalKind::storage || !key) bad("refers to a storage of no known type");
  const std::int64_t count = integer_of((*a)[4]);
  if (count < 0) bad("refers to a storage of ", count, " numbers");
  SourceTensor* numbers = storage_named(*key, known->type, count);
  if (a->size() == 6 && (*a)[5]->kind != Kind::none) {
    const List* view = (*a)[5]->items();
    if (!view || view->size() != 3) bad("refers to a malformed view of a storage");
    const std::int64_t begin = integer_of((*view)[1]), part = integer_of((*view)[2]);
    if (begin < 0 || part < 0 || begin > count || part > count - begin) bad("refers to a view beyond its storage");
    SourceTensor* root = numbers;
    numbers = context_.arena->make_tensor();
    *numbers = *root;
    numbers->shape = {part};
    out_.views.push_back({numbers, root, begin});
  }
  return make(Kind::storage, numbers);
}

std::int64_t PickleBuilder::integer_of(const Value* v) const {
  if (const std::int64_t* i = v->integer()) return *i;
  bad("has something else where a number belongs");
}

Dims PickleBuilder::dims_of(const Value* v) const {
  const List* list = v->items();
  if (!list) bad("has something else where a shape belongs");
  if (list->size() > 64) bad("has a tensor of ", list->size(), " dimensions");
  Dims dims;
  for (const Value* d : *list) {
    dims.push_back(integer_of(d));
    if (dims.back() < 0) bad("has a tensor with a negative dimension or stride");
  }
  return dims;
}

Bytes PickleBuilder::bytes_of(const Value* v) const {
  if (const Bytes* bytes = std::get_if<Bytes>(&v->data)) return *bytes;
  if (const std::string* text = v->string()) {
    context_.arena->charge(text->size());
    return own_bytes(*text);
  }
  bad("has something else where bytes belong");
}

}  // namespace g2s::convert
