#include "engine/safetensors.h"

#include "engine/error.h"
#include "weights_converter/formats.h"
#include "weights_converter/numbers.h"

namespace g2s::convert {
namespace {

NumberType type_named(const std::string& path, const SafetensorsFile::Entry& entry) {
  for (int i = 0; i <= static_cast<int>(NumberType::complex128); ++i) {
    const char* name = safetensors_name(static_cast<NumberType>(i));
    if (name && entry.stored == name) return static_cast<NumberType>(i);
  }
  fail(Errc::unsupported, path, "tensor ", entry.name, " is ", entry.stored, ", which is not known");
}

}  // namespace

void read_safetensors(Checkpoint& checkpoint, ReadContext& context, const Bytes& file) {
  const Memory memory = file.load();
  const SafetensorsFile parsed(checkpoint.path, memory.view(), memory.owner);
  for (const SafetensorsFile::Entry& entry : parsed.entries()) {
    SourceTensor t;
    t.name = entry.name;
    t.type = type_named(checkpoint.path, entry);
    t.shape.assign(entry.shape.begin(), entry.shape.end());
    t.strides = row_major(t.shape);
    const std::string_view bytes = parsed.bytes(entry.name);
    t.storage = file.slice(static_cast<std::uint64_t>(bytes.data() - memory.data), bytes.size());
    context.arena->charge(2 * sizeof t + 4 * entry.name.size());
    checkpoint.tensors.push_back(std::move(t));
  }
  checkpoint.metadata = parsed.metadata();
}

}  // namespace g2s::convert
