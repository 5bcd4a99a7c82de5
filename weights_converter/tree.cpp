// Names for the tensors of a tree of pickled values.
#include <algorithm>
#include <set>

#include "engine/error.h"
#include "weights_converter/formats.h"
#include "weights_converter/pickle_globals.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

using Kind = Value::Kind;

constexpr int deepest = 200;

class Lister {
 public:
  Lister(Checkpoint& checkpoint, ReadContext& context) : checkpoint_(checkpoint), context_(context) {}

  void list(const Value* v, const std::string& path, int depth) {
    if (depth > deepest)
      fail(Errc::format, context_.path, "is nested more than ", deepest, " levels deep at ", printable(path), ", or contains itself");
    context_.spend(1);
    if (const SourceTensor* t = v->tensor()) return add(*t, path);
    if (const Object* object = v->object()) return list_object(v, *object, path, depth);
    if (const Dict* dict = v->dict()) return list_entries(*dict, path, depth, false);
    const List* items = v->items();
    if (!items) return;
    context_.spend(items->size());
    for (std::size_t i = 0; i < items->size(); ++i)
      if (holds_something((*items)[i])) list((*items)[i], join(path, std::to_string(i)), depth + 1);
  }

  // NVIDIA's TensorFlow pickles: a tuple of three networks without names of their own.
  bool list_networks(const Value* root) {
    const List* items = root->items();
    if (!items || items->size() != 3) return false;
    for (const Value* v : *items)
      if (!is_network(v)) return false;
    const char* const names[] = {"G", "D", "Gs"};
    for (std::size_t i = 0; i < 3; ++i) list((*items)[i], names[i], 1);
    return true;
  }

 private:
  static bool holds_something(const Value* v) { return v->tensor() || v->object() || v->dict() || v->items(); }
  static bool is_network(const Value* v) { return v->object() && v->object()->module == "dnnlib.tflib.network"; }
  static std::string join(const std::string& path, const std::string& key) { return path.empty() ? key : path + "." + key; }

  static std::string key_text(const Value* key) {
    if (const std::string* text = key->string()) return is_utf8(*text) ? *text : latin1_to_utf8(*text);  // Python 2's byte strings may be anything
    if (const std::int64_t* number = key->integer()) return std::to_string(*number);
    if (const bool* flag = key->boolean()) return *flag ? "True" : "False";
    return "?";
  }

  // What a tensor that is not read is, if it is one.
  static std::string unread(const Object& object) {
    if (object.module == "torch" && object.arguments && kind_of_global(object.module, object.name) == GlobalKind::foreign)
      return "a tensor of type " + printable(object.name);
    if (kind_of_global(object.module, object.name) != GlobalKind::unread_tensor) return {};
    constexpr std::pair<std::string_view, const char*> kinds[] = {{"sparse", "a sparse tensor"},
                                                                  {"nested", "a nested tensor"},
                                                                  {"qtensor", "a quantised tensor"},
                                                                  {"meta", "a tensor without numbers (device meta)"}};
    for (const auto& [part, what] : kinds)
      if (object.name.find(part) != std::string::npos) return what;
    return "a tensor of a class of its own";
  }

  void list_object(const Value* v, const Object& object, const std::string& path, int depth) {
    if (const std::string what = unread(object); !what.empty()) {
      context_.arena->charge(2 * (path.size() + what.size()) + 128);
      checkpoint_.unread.emplace(path.empty() ? "data" : path, what);
      return;
    }
    if (!object.state) return;
    const bool foreign = kind_of_global(object.module, object.name) == GlobalKind::foreign;
    if (foreign && !open_.insert(v).second) return;  // it refers to itself, as modules do to their parents
    list_state(object, path, depth);
    if (foreign) open_.erase(v);
  }

  void add(const SourceTensor& t, const std::string& path) {
    context_.arena->charge(sizeof t + 2 * path.size() + 8 * (t.shape.size() + t.strides.size()) + 64);
    checkpoint_.tensors.push_back(t);
    checkpoint_.tensors.back().name = path.empty() ? "data" : path;
  }

  // Of repeated keys the last counts, as in Python.
  void list_entries(const Dict& dict, const std::string& path, int depth, bool module) {
    context_.spend(dict.size());
    std::map<std::string_view, std::size_t> last;
    for (std::size_t i = 0; i < dict.size(); ++i)
      if (const std::string* text = dict[i].first->string()) last[*text] = i;
    for (std::size_t i = 0; i < dict.size(); ++i) {
      const auto& [key, value] = dict[i];
      if (!holds_something(value)) continue;
      const std::string* text = key->string();
      if (text && last[*text] != i) continue;
      const bool inner = module && text && (*text == "_parameters" || *text == "_buffers" || *text == "_modules");
      list(value, inner ? path : join(path, key_text(key)), depth + 1);
    }
  }

  void list_state(const Object& object, const std::string& path, int depth) {
    if (object.module == "dnnlib.tflib.network") return list_network(object, path, depth);
    if (const Dict* state = object.state->dict()) return list_entries(*state, path, depth, object.state->get("_modules") != nullptr);
    list(object.state, path, depth + 1);
  }

  // Components by their names, then variables, a list of (name, array).
  void list_network(const Object& network, const std::string& path, int depth) {
    if (const Value* components = network.state->get("components")) list(components, path, depth + 1);
    const Value* variables = network.state->get("variables");
    const List* items = variables ? variables->items() : nullptr;
    if (!items) return;
    context_.spend(items->size());
    for (const Value* v : *items) {
      const Value *name = v->at(0), *array = v->at(1);
      if (!name || !name->string() || !array) fail(Errc::format, context_.path, "has a network ", printable(path), " with a malformed variable");
      list(array, join(path, key_text(name)), depth + 1);
    }
  }

  Checkpoint& checkpoint_;
  ReadContext& context_;
  std::set<const Value*> open_;  // objects of unknown classes that are being listed
};

}  // namespace

void list_tensors(Checkpoint& checkpoint, ReadContext& context) {
  Lister lister(checkpoint, context);
  if (!lister.list_networks(checkpoint.root)) lister.list(checkpoint.root, "", 0);
}

}  // namespace g2s::convert
