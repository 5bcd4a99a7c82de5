// What torch.save writes: a ZIP archive (PyTorch 1.6 and newer), or pickles one after another with the storages behind them.
#include <cstring>

#include "engine/error.h"
#include "weights_converter/formats.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

// What the first pickle of the old form holds, and where in the file to look for it: after protocol and framing.
constexpr std::size_t legacy_start = 24;
constexpr std::string_view legacy_number("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr std::int64_t legacy_protocol = 1001;
constexpr int deepest_archive = 4;

const ZipMember* find_member(const std::vector<ZipMember>& members, const std::string& name) {
  const ZipMember* found = nullptr;
  for (const ZipMember& m : members)
    if (m.name == name) found = &m;
  return found;
}

// archive/data.pkl -> archive/
std::string root_of(const std::vector<ZipMember>& members) {
  for (const ZipMember& m : members) {
    const std::size_t slash = m.name.find('/');
    if (slash != std::string::npos && m.name.substr(slash + 1) == "data.pkl") return m.name.substr(0, slash + 1);
  }
  return "";
}

const Value* read_legacy(ReadContext& context, const Bytes& file) {
  auto bad = [&](const auto&... what) { fail(Errc::format, context.path, "is a damaged PyTorch file: ", what...); };
  const Unpickled magic = unpickle(context, file);
  const Bytes* number = std::get_if<Bytes>(&magic.root->data);
  if (magic.root->kind != Value::Kind::big_integer || !number || number->load().view() != legacy_number) bad("its first pickle is no magic number");
  const Unpickled protocol = unpickle(context, file, magic.end);
  if (!protocol.root->integer() || *protocol.root->integer() != legacy_protocol) bad("its protocol is not ", legacy_protocol);
  const Unpickled system = unpickle(context, file, protocol.end);
  const Value* order = system.root->get("little_endian");
  if (!order || !order->boolean()) bad("it does not say in which order its bytes are");
  if (!*order->boolean()) fail(Errc::unsupported, context.path, "was written on a big-endian machine: load and save it on a little-endian one");
  const Unpickled content = unpickle(context, file, system.end);
  const Unpickled keys = unpickle(context, file, content.end);
  const List* list = keys.root->items();
  if (!list) bad("its list of storages is missing");

  std::map<std::string, SourceTensor*> wanted;
  for (const NamedStorage& s : content.storages) wanted[s.key] = s.numbers;
  std::uint64_t at = keys.end;
  const Memory memory = file.load();
  for (const Value* v : *list) {
    const auto found = v->string() ? wanted.find(*v->string()) : wanted.end();
    if (found == wanted.end()) bad("it has a storage that belongs to no tensor");
    SourceTensor& numbers = *found->second;
    std::uint64_t count = 0;
    if (file.size - at < sizeof count) bad("it is truncated at storage ", printable(found->first));
    std::memcpy(&count, memory.data + at, sizeof count);
    at += sizeof count;
    const std::size_t size = size_of(numbers.type);
    if (count > (file.size - at) / size) bad("it is truncated at storage ", printable(found->first));
    numbers.storage = file.slice(at, count * size);
    at += count * size;
  }
  bind_tensors(context, content);
  return content.root;
}

}  // namespace

bool is_pytorch_zip(const std::vector<ZipMember>& members) { return !root_of(members).empty(); }
bool is_pytorch_legacy(std::string_view start) { return start.substr(0, legacy_start).find(legacy_number) != std::string_view::npos; }

const Value* read_pytorch_zip(ReadContext& context, const std::vector<ZipMember>& members) {
  const std::string root = root_of(members);
  if (root.empty()) fail(Errc::format, context.path, "is a ZIP archive without the data.pkl of a PyTorch checkpoint");
  if (const ZipMember* order = find_member(members, root + "byteorder")) {
    const Memory text = order->content.load();
    if (text.view() == "big") fail(Errc::unsupported, context.path, "was written on a big-endian machine: load and save it on a little-endian one");
    if (text.view() != "little")
      fail(Errc::format, context.path, "says the byte order '", printable(text.view()), "', which is neither little nor big");
  }
  if (find_member(members, root + "constants.pkl")) {
    fail(Errc::unsupported, context.path, "is a TorchScript program, not a checkpoint: save its state_dict() instead");
  }
  std::map<std::string, const ZipMember*> storages;
  for (const ZipMember& m : members)
    if (m.name.rfind(root + "data/", 0) == 0) storages[m.name.substr(root.size() + 5)] = &m;
  const Unpickled content = unpickle(context, find_member(members, root + "data.pkl")->content);
  for (const NamedStorage& s : content.storages) {
    const auto found = storages.find(s.key);
    if (found != storages.end()) s.numbers->storage = found->second->content;
    else if (s.numbers->shape[0] > 0)
      fail(Errc::format, context.path, "lacks the member ", printable(root + "data/" + s.key), " that its pickle refers to");
  }
  bind_tensors(context, content);
  return content.root;
}

const Value* read_pytorch_legacy(ReadContext& context, const Bytes& file) { return read_legacy(context, file); }

const Value* read_plain_pickle(ReadContext& context, const Bytes& file) {
  const Unpickled content = unpickle(context, file);
  if (!content.storages.empty()) fail(Errc::format, context.path, "its pickle refers to storages, which a plain pickle does not have");
  bind_tensors(context, content);
  if (content.end != file.size) fail(Errc::format, context.path, "has ", file.size - content.end, " bytes after its pickle");
  return content.root;
}

const Value* read_nested_archive(ReadContext& context, const Bytes& bytes) {
  if (context.depth >= deepest_archive) fail(Errc::format, context.path, "has archives within archives, more than ", deepest_archive, " deep");
  context.spend(bytes.size);
  ++context.depth;
  const Memory memory = bytes.load();
  const Value* root =
      looks_like_zip(memory.view()) ? read_pytorch_zip(context, read_zip(context.path, bytes)) : read_legacy(context, bytes);
  --context.depth;
  return root;
}

}  // namespace g2s::convert
