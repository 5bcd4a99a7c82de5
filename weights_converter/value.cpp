#include "weights_converter/value.h"

#include "engine/error.h"

namespace g2s::convert {
namespace {

constexpr std::uint64_t values_limit = allowance / 4 * 3;

}  // namespace

const std::string* Value::string() const { return kind == Kind::string ? std::get_if<std::string>(&data) : nullptr; }
const std::int64_t* Value::integer() const { return std::get_if<std::int64_t>(&data); }
const bool* Value::boolean() const { return std::get_if<bool>(&data); }
const List* Value::items() const { return std::get_if<List>(&data); }
const Dict* Value::dict() const { return std::get_if<Dict>(&data); }
const Object* Value::object() const { return std::get_if<Object>(&data); }

const SourceTensor* Value::tensor() const {
  if (kind != Kind::tensor) return nullptr;
  return std::get<SourceTensor*>(data);
}

const Value* Value::get(const std::string& key) const {
  if (const Object* o = object()) return o->state && !o->state->object() ? o->state->get(key) : nullptr;
  const Dict* entries = dict();
  if (!entries) return nullptr;
  for (auto it = entries->rbegin(); it != entries->rend(); ++it)
    if (const std::string* name = it->first->string(); name && *name == key) return it->second;
  return nullptr;
}

const Value* Value::at(std::size_t index) const {
  const List* list = items();
  return list && index < list->size() ? (*list)[index] : nullptr;
}

void ValueArena::charge(std::uint64_t bytes) {
  charged_ += bytes;
  if (charged_ > values_limit) fail(Errc::format, path_, "holds more than ", values_limit >> 20, " MiB of small values: it is no checkpoint");
}

Value* ValueArena::make(Value::Kind kind) {
  charge(sizeof(Value) + sizeof(void*));
  values_.emplace_back().kind = kind;
  return &values_.back();
}

SourceTensor* ValueArena::make_tensor() {
  charge(sizeof(SourceTensor));
  return &tensors_.emplace_back();
}

}  // namespace g2s::convert
