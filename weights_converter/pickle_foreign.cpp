// What a pickle has of classes that are not known here: inert records. The tensors beside them, and those in their state, are read.
#include <algorithm>

#include "weights_converter/pickle_globals.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

using Kind = Value::Kind;

constexpr std::size_t most_names = 20;  // that are remembered for a message

void remember(ReadContext& context, const Object& type) {
  const std::string name = printable(type.module + "." + type.name);
  if (context.foreign.size() < most_names && std::find(context.foreign.begin(), context.foreign.end(), name) == context.foreign.end())
    context.foreign.push_back(name);
}

}  // namespace

bool PickleBuilder::is_foreign(const Value* callable) const {
  const Object* type = callable->object();
  // What an unknown object gives when it is called is as unknown.
  return type && (!type->is_class() || kind_of_global(type->module, type->name) == GlobalKind::foreign);
}

const Value* PickleBuilder::foreign(const Object& type, const Value* arguments) {
  remember(context_, type);
  return make(Kind::object, Object{type.module, type.name, arguments, nullptr});
}

// Texts, dates and records are no tensors: an array of them is as foreign as any class.
bool PickleBuilder::holds_numbers(const Value* dtype) const {
  const Object* object = dtype->object();
  const Value* name = object && object->name == "dtype" && object->arguments ? object->arguments->at(0) : nullptr;
  const std::string* text = name ? name->string() : nullptr;
  if (!text) return true;  // malformed: described as such
  const std::size_t kind = text->find_first_not_of("<>|=");
  return kind == std::string::npos || std::string_view("USVMma").find((*text)[kind]) == std::string_view::npos;
}

// Of protocols 0 and 1: a subclass of dict or list has its entries here, any other class nothing.
const Value* PickleBuilder::foreign_subclass(const Object& type, const Value* arguments, const Value* content) {
  const Value* made = foreign(type, arguments);
  if (!content || !(content->dict() || content->items())) return made;
  become(made, content->dict() ? Kind::dict : Kind::list);
  context_.arena->charge((content->dict() ? content->dict()->size() : content->items()->size()) * sizeof(Dict::value_type));
  editable(made)->data = content->data;
  return made;
}

void PickleBuilder::become(const Value* target, Kind kind) {
  const Object* object = target->object();
  if (!object || !object->arguments || object->state || kind_of_global(object->module, object->name) != GlobalKind::foreign) return;
  Value* changed = editable(target);
  changed->kind = kind;
  if (kind == Kind::dict) changed->data = Dict{};
  else changed->data = List{};
}

const Value* PickleBuilder::tensor_with_attributes(const Object& type, const Value* arguments, const List& a) {
  const Object* function = a.size() >= 3 ? a[0]->object() : nullptr;
  if (!function || !function->is_class()) bad("has a malformed tensor");
  switch (kind_of_global(function->module, function->name)) {
    case GlobalKind::rebuild_tensor:
    case GlobalKind::rebuild_tensor_v3:
    case GlobalKind::rebuild_parameter:
    case GlobalKind::unread_tensor: return construct(a[0], a[2]);
    default: return foreign(type, arguments);
  }
}

}  // namespace g2s::convert
