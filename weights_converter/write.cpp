#include "weights_converter/write.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <future>

#include "engine/error.h"
#include "engine/files.h"
#include "engine/hash.h"
#include "engine/context.h"
#include "engine/safetensors.h"
#include "weights_converter/numbers.h"

namespace g2s::convert {
namespace {

SafetensorsWriter::Item item_of(const std::string& path, const OutputTensor& t) {
  const std::string what = str("tensor ", t.name, " ");
  const char* stored = safetensors_name(t.type);
  if (!stored) fail(Errc::unsupported, path, what, "is ", to_string(t.type), ", which safetensors cannot hold");
  if (t.shape.size() > Shape::max_rank) fail(Errc::unsupported, path, what, "has ", t.shape.size(), " dimensions, more than ", Shape::max_rank);
  std::int64_t numbers = 0;
  for (const SourceTensor& part : t.parts) {
    numbers += part.numel();
    check_bounds(part);
    if (!can_convert(part.type, t.type)) fail(Errc::unsupported, path, what, "cannot become ", to_string(t.type), ": it is ", to_string(part.type));
  }
  const std::int64_t wanted = numel_of(t.shape);
  if (numbers != wanted) fail(Errc::shape_mismatch, path, what, "of shape ", describe(t.type, t.shape), " is made of ", numbers, " numbers");
  return {t.name, stored, t.shape, static_cast<std::uint64_t>(wanted) * size_of(t.type)};
}

using Checkpoints = std::vector<std::shared_ptr<const Checkpoint>>;

// One for each file, in the order in which they are hashed.
std::vector<std::string> hash_keys(const Checkpoints& inputs) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    keys.push_back(inputs.size() == 1 ? "source_xxh128" : str("source_xxh128.", i));
    if (inputs[i]->beside.source) keys.push_back(keys.back() + ".bin");
  }
  return keys;
}

// Throws if a piece of an output that begins at number `begin` of a part has one that is not finite.
void require_finite(const std::string& path, const OutputTensor& t, const SourceTensor& part, std::int64_t begin, std::string_view piece) {
  const std::int64_t at = first_nonfinite(t.type, piece);
  if (at < 0) return;
  SourceTensor one = part;  // the number as the source has it
  one.shape.clear(), one.strides.clear();
  std::int64_t left = begin + at;
  for (std::size_t i = part.shape.size(); i-- > 0;) one.offset += left % part.shape[i] * part.strides[i], left /= part.shape[i];
  const double value = read_values(one).at(0);
  const std::string where = str("its number ", begin + at, " is ", value);
  const bool grew = std::isfinite(value);
  fail(Errc::format, path, "tensor ", t.name, ": ", where,
       grew ? str(", which becomes infinite as ", to_string(t.type), "; another `dtype` holds it") : ", which is not finite",
       ". `allow_nonfinite` writes it all the same");
}

// Bytes of a mapped file that nobody has touched yet make write() fault in the middle of its copying and begin again, at a third of the speed.
void write_mapped(SafetensorsWriter& file, std::string_view bytes, const std::function<void(std::string_view)>& look) {
  constexpr std::size_t step = 1u << 20, page = 4096;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
    const std::string_view part = bytes.substr(0, step);
    look(part);
    for (std::size_t i = 0; i < part.size(); i += page) static_cast<void>(*static_cast<const volatile char*>(&part[i]));
    file.write(part.data(), part.size());
  }
}

}  // namespace

void write_plan(const std::string& path, const ConversionPlan& plan, const Checkpoints& inputs) {
  std::vector<SafetensorsWriter::Item> items;
  for (const OutputTensor& t : plan.tensors) items.push_back(item_of(path, t));
  std::map<std::string, std::string> metadata = plan.metadata;
  metadata["kind"] = plan.kind;
  for (std::size_t i = 0; i < inputs.size(); ++i) metadata[inputs.size() == 1 ? "source_format" : str("source_format.", i)] = to_string(inputs[i]->format);
  const std::vector<std::string> keys = hash_keys(inputs);
  for (const std::string& key : keys) metadata[key] = std::string(32, '0');  // known once everything is read
  if (const auto parent = std::filesystem::path(path).parent_path(); !parent.empty()) make_folders(parent.string());
  SafetensorsWriter file(path, std::move(items), std::move(metadata), Durability::crash);  // the inputs are still there

  auto hashes = std::async(std::launch::async, [&inputs] {
    std::vector<std::string> all;
    for (const auto& input : inputs) {
      all.push_back(xxh128(input->file.load().view()));
      if (input->beside.source) all.push_back(xxh128(input->beside.load().view()));
    }
    return all;
  });
  Bytes last;  // what is inflated stays for the next tensor, which often comes from the same place
  Memory kept;
  for (const OutputTensor& t : plan.tensors) {
    check_cancelled("convert");
    for (const SourceTensor& part : t.parts) {
      if (part.storage.source != last.source) {
        kept = {};
        last = part.storage;
        kept = last.load();
      }
      std::int64_t at = 0;
      auto look = [&](std::string_view piece) {
        if (!plan.allow_nonfinite) require_finite(inputs.size() == 1 ? inputs[0]->path : path, t, part, at, piece);
        at += static_cast<std::int64_t>(piece.size() / size_of(t.type));
      };
      stream_numbers(part, t.type, t.scale, t.add, [&](std::string_view piece) { write_mapped(file, piece, look); });
    }
  }
  const std::vector<std::string> found = hashes.get();
  for (std::size_t i = 0; i < found.size(); ++i) file.replace_metadata(keys[i], found[i]);
  file.commit();
}

}  // namespace g2s::convert
