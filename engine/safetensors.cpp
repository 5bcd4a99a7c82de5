#include "engine/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/files.h"
#include "engine/json_text.h"
#include "engine/mapped_file.h"

static_assert(std::endian::native == std::endian::little, "safetensors holds little-endian numbers");

namespace g2s {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::size_t length_bytes = 8;
constexpr std::size_t max_header = 100u << 20;  // the format's own limit

constexpr std::size_t max_values = 2'000'000;    // of the header's JSON, so that it cannot fill the memory with brackets
constexpr int max_depth = 4;

struct StoredType {
  const char* name;
  std::size_t size;
  DType dtype;      // what get() returns
  bool readable;
};

// Types without an equal of ours are widened to one that holds every value (I64 only where its values fit).
constexpr StoredType stored_types[] = {
    {"F32", 4, DType::f32, true},  {"F64", 8, DType::f64, true},  {"BF16", 2, DType::bf16, true}, {"F16", 2, DType::f16, true},
    {"I32", 4, DType::i32, true},  {"U8", 1, DType::u8, true},    {"BOOL", 1, DType::u8, true},   {"I64", 8, DType::i32, true},
    {"I16", 2, DType::i32, true},  {"U16", 2, DType::i32, true},  {"I8", 1, DType::i32, true},    {"U32", 4, DType::i32, false},
    {"U64", 8, DType::i32, false}, {"F8_E4M3", 1, DType::f32, false}, {"F8_E5M2", 1, DType::f32, false},
    {"F8_E4M3FNUZ", 1, DType::f32, false}, {"F8_E5M2FNUZ", 1, DType::f32, false}, {"F8_E8M0", 1, DType::f32, false},
};

const StoredType* find_type(const std::string& name) {
  for (const StoredType& t : stored_types)
    if (name == t.name) return &t;
  return nullptr;
}

const char* stored_name(DType dtype) {
  for (const StoredType& t : stored_types)
    if (t.dtype == dtype) return t.name;
  return "?";
}

[[noreturn]] void bad_tensor(const std::string& path, const std::string& name, const std::string& what) {
  fail(Errc::format, path, "tensor ", name, ": ", what);
}

// JSON allows a key twice and the parser keeps the last; here that would hide a tensor.
json parse_header(const std::string& path, const char* text, std::size_t size) {
  std::set<std::string> keys;
  std::string repeated;
  std::size_t values = 0;
  auto watch = [&](int depth, json::parse_event_t event, json& value) {
    if (++values > max_values || depth > max_depth) fail(Errc::format, path, "is not a safetensors file: its header is not a JSON object of tensors alone");
    if (event == json::parse_event_t::key && depth == 1) {
      std::string key = value.get<std::string>();
      if (!keys.insert(key).second && repeated.empty()) repeated = key;
    }
    return true;
  };
  json header = json::parse(text, text + size, watch, false);
  if (header.is_discarded() || !header.is_object()) fail(Errc::format, path, "is not a safetensors file: its header is not a JSON object");
  if (!repeated.empty()) bad_tensor(path, repeated, "appears twice");
  return header;
}

SafetensorsFile::Entry parse_entry(const std::string& path, const std::string& name, const json& fields, std::size_t data_bytes) {
  auto require = [&](bool ok, const char* what) {
    if (!ok) bad_tensor(path, name, what);
  };
  require(fields.is_object() && fields.contains("dtype") && fields.contains("shape") && fields.contains("data_offsets"),
          "lacks dtype, shape or data_offsets");
  const json &type = fields["dtype"], &dims = fields["shape"], &offsets = fields["data_offsets"];
  require(type.is_string() && dims.is_array() && offsets.is_array() && offsets.size() == 2, "has a malformed dtype, shape or data_offsets");
  require(offsets[0].is_number_unsigned() && offsets[1].is_number_unsigned(), "has a malformed data_offsets");

  SafetensorsFile::Entry entry;
  entry.name = name;
  entry.stored = type.get<std::string>();
  const StoredType* stored = find_type(entry.stored);
  if (!stored) bad_tensor(path, name, str("has the unknown dtype ", entry.stored));
  entry.dtype = stored->dtype;
  if (dims.size() > Shape::max_rank) bad_tensor(path, name, str("has ", dims.size(), " dimensions, more than ", Shape::max_rank));
  std::uint64_t bytes = stored->size;
  bool overflow = false;
  for (const json& dim : dims) {
    require(dim.is_number_unsigned(), "has a malformed shape");
    std::uint64_t d = dim.get<std::uint64_t>();
    require(d <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()), "has a shape that overflows");
    entry.shape.push_back(static_cast<std::int64_t>(d));
    overflow |= __builtin_mul_overflow(bytes, d, &bytes);
  }
  require(!overflow, "has a shape that overflows");
  std::uint64_t begin = offsets[0].get<std::uint64_t>(), end = offsets[1].get<std::uint64_t>();
  require(begin <= end, "has data_offsets that run backwards");
  if (end - begin != bytes) {
    bad_tensor(path, name, str("has ", end - begin, " bytes, but ", entry.stored, " ", entry.shape, " takes ", bytes));
  }
  if (end > data_bytes) {
    bad_tensor(path, name, str("ends at byte ", end, " of ", data_bytes, " of data: the file is truncated"));
  }
  entry.begin = static_cast<std::size_t>(begin);
  entry.end = static_cast<std::size_t>(end);
  return entry;
}

// The format allows neither overlaps nor holes nor bytes after the last tensor.
void check_layout(const std::string& path, const std::vector<SafetensorsFile::Entry>& entries, std::size_t data_bytes) {
  std::size_t at = 0;
  for (const auto& e : entries) {
    if (e.begin < at) bad_tensor(path, e.name, "overlaps another tensor");
    if (e.begin > at) bad_tensor(path, e.name, str("is preceded by ", e.begin - at, " bytes that belong to no tensor"));
    at = e.end;
  }
  if (at != data_bytes) fail(Errc::format, path, "has ", data_bytes - at, " bytes after its last tensor");
}

template <class T>
Tensor widen_to_i32(const std::string& path, const SafetensorsFile::Entry& e, const char* data) {
  Tensor out = Tensor::empty(e.shape, DType::i32, Device{});
  std::int32_t* y = out.mutable_data<std::int32_t>();
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    T v;
    std::memcpy(&v, data + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
    if (static_cast<std::int64_t>(v) != static_cast<std::int32_t>(v)) bad_tensor(path, e.name, "has values beyond 32 bits");
    y[i] = static_cast<std::int32_t>(v);
  }
  return out;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path) {
  const auto file = MappedFile::open(path);
  parse({file->data(), file->size()});
  mapping_ = file;
}

SafetensorsFile::SafetensorsFile(const std::string& path, std::string_view content, std::shared_ptr<const void> owner)
    : path_(path), mapping_(std::move(owner)) {
  parse(content);
}

void SafetensorsFile::parse(std::string_view content) {
  const std::string& path = path_;
  if (content.size() < length_bytes) fail(Errc::format, path, "is not a safetensors file: only ", content.size(), " bytes long");
  const char* file = content.data();
  std::uint64_t header_bytes;
  std::memcpy(&header_bytes, file, length_bytes);
  if (header_bytes > max_header) fail(Errc::format, path, "is not a safetensors file: its header would be ", header_bytes, " bytes long");
  if (header_bytes > content.size() - length_bytes) {
    fail(Errc::format, path, "is truncated: the header takes ", header_bytes, " bytes, the file has ", content.size() - length_bytes);
  }
  json header = parse_header(path, file + length_bytes, static_cast<std::size_t>(header_bytes));
  std::size_t data_bytes = content.size() - length_bytes - static_cast<std::size_t>(header_bytes);
  for (const auto& [name, fields] : header.items()) {
    if (name != "__metadata__") {
      entries_.push_back(parse_entry(path, name, fields, data_bytes));
      continue;
    }
    if (!fields.is_object()) fail(Errc::format, path, "has metadata that is not a JSON object");
    for (const auto& [key, value] : fields.items()) {
      if (!value.is_string()) fail(Errc::format, path, "has metadata ", key, " that is not a string");
      metadata_[key] = value.get<std::string>();
    }
  }
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  check_layout(path, entries_, data_bytes);
  for (std::size_t i = 0; i < entries_.size(); ++i) index_[entries_[i].name] = i;
  data_ = file + length_bytes + header_bytes;
}

bool SafetensorsFile::contains(const std::string& name) const { return index_.count(name) > 0; }

const SafetensorsFile::Entry& SafetensorsFile::entry(const std::string& name) const {
  auto found = index_.find(name);
  if (found == index_.end()) fail(Errc::format, path_, "tensor ", name, " is missing");
  return entries_[found->second];
}

std::string_view SafetensorsFile::bytes(const std::string& name) const {
  const Entry& e = entry(name);
  return {data_ + e.begin, e.end - e.begin};
}

Tensor SafetensorsFile::get(const std::string& name) const {
  const Entry& e = entry(name);
  const StoredType& stored = *find_type(e.stored);
  const char* data = data_ + e.begin;
  if (!stored.readable) fail(Errc::unsupported, path_, "tensor ", name, " is ", e.stored, ", which cannot be read");
  if (e.stored == "I64") return widen_to_i32<std::int64_t>(path_, e, data);
  if (e.stored == "I16") return widen_to_i32<std::int16_t>(path_, e, data);
  if (e.stored == "U16") return widen_to_i32<std::uint16_t>(path_, e, data);
  if (e.stored == "I8") return widen_to_i32<std::int8_t>(path_, e, data);
  std::size_t bytes = e.end - e.begin;
  if (reinterpret_cast<std::uintptr_t>(data) % stored.size != 0) {
    Tensor copy = Tensor::empty(e.shape, e.dtype, Device{});
    if (bytes) std::memcpy(copy.mutable_raw(), data, bytes);
    return copy.set_constant();
  }
  // The mapping is read-only: the storage is constant, so that nobody writes to it.
  auto storage = std::make_shared<Storage>(const_cast<char*>(data), bytes, Device{}, mapping_);
  storage->constant = true;
  return Tensor::wrap(std::move(storage), e.shape, e.dtype);
}

void SafetensorsWriter::check_name(const std::string& name, std::set<std::string>& names) const {
  if (name != "__metadata__" && names.insert(name).second) return;
  fail(Errc::invalid_argument, path_, "tensor ", name, " cannot be written: its name is ", name == "__metadata__" ? "reserved" : "taken");
}

std::string SafetensorsWriter::header() const {
  ordered_json header = ordered_json::object();
  // Values may tell of files, whose names have any bytes.
  if (!metadata_.empty()) header["__metadata__"] = ordered_json::parse(json_text(metadata_, -1));
  std::uint64_t at = 0;
  for (const Item& item : items_) {
    header[item.name] = {{"dtype", item.stored}, {"shape", item.shape}, {"data_offsets", {at, at + item.bytes}}};
    at += item.bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const ordered_json::exception&) {
    fail(Errc::invalid_argument, path_, "a tensor name is not valid UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data starts aligned
  if (text.size() > max_header) fail(Errc::invalid_argument, path_, "cannot be written: its header would be ", text.size(), " bytes long");
  return text;
}

SafetensorsWriter::SafetensorsWriter(const std::string& path, std::vector<Item> items, std::map<std::string, std::string> metadata,
                                     Durability durability)
    : path_(path), items_(std::move(items)), metadata_(std::move(metadata)) {
  std::set<std::string> names;
  for (const Item& item : items_) {
    check_name(item.name, names);
    total_ += item.bytes;
  }
  const std::string text = header();
  header_bytes_ = text.size();
  const std::uint64_t length = header_bytes_;
  file_ = std::make_unique<AtomicFile>(path, durability);
  file_->write(&length, sizeof length);
  file_->write(text);
}

SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::write(const void* data, std::size_t bytes) {
  if (bytes > total_ - written_) fail(Errc::internal, path_, "more bytes were written than its header has");
  file_->write(data, bytes);
  written_ += bytes;
}

void SafetensorsWriter::replace_metadata(const std::string& key, const std::string& value) {
  metadata_.at(key) = value;
  const std::string text = header();
  if (text.size() != header_bytes_) fail(Errc::internal, path_, "metadata ", key, " changed its length");
  file_->write_at(length_bytes, text);
}

void SafetensorsWriter::commit() {
  if (written_ != total_) fail(Errc::internal, path_, "only ", written_, " of ", total_, " bytes were written");
  file_->commit();
}

void write_safetensors(const std::string& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata) {
  std::vector<SafetensorsWriter::Item> items;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined() || tensor.device().type != DeviceType::cpu) {
      fail(Errc::invalid_argument, path, "tensor ", name, " cannot be written: it is ", tensor.defined() ? "not on the CPU" : "undefined");
    }
    items.push_back({name, stored_name(tensor.dtype()), {tensor.shape().begin(), tensor.shape().end()}, tensor.bytes()});
  }
  SafetensorsWriter file(path, std::move(items), metadata);
  for (const auto& [name, tensor] : tensors) file.write(tensor.raw(), tensor.bytes());
  file.commit();
}

}  // namespace g2s
