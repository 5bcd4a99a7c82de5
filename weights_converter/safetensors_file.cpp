#include "engine/safetensors.h"

#include <memory>

#include "engine/error.h"
#include "weights_converter/formats.h"
#include "weights_converter/numbers.h"

namespace g2s::convert {
namespace {

class EntrySource final : public ByteSource {
 public:
  EntrySource(std::shared_ptr<const SafetensorsFile> file, std::string name) : file_(std::move(file)), name_(std::move(name)) {}
  std::uint64_t size() const override { return file_->bytes(name_).size(); }
  Memory load() const override {
    const std::string_view bytes = file_->bytes(name_);
    return {bytes.data(), bytes.size(), file_};
  }

 private:
  std::shared_ptr<const SafetensorsFile> file_;
  std::string name_;
};

NumberType type_named(const std::string& path, const SafetensorsFile::Entry& entry) {
  for (int i = 0; i <= static_cast<int>(NumberType::complex128); ++i) {
    const char* name = safetensors_name(static_cast<NumberType>(i));
    if (name && entry.stored == name) return static_cast<NumberType>(i);
  }
  fail(Errc::unsupported, path, "tensor ", entry.name, " is ", entry.stored, ", which is not known");
}

}  // namespace

void read_safetensors(Checkpoint& checkpoint) {
  const auto file = std::make_shared<const SafetensorsFile>(checkpoint.path);
  for (const SafetensorsFile::Entry& entry : file->entries()) {
    SourceTensor t;
    t.name = entry.name;
    t.type = type_named(checkpoint.path, entry);
    t.shape.assign(entry.shape.begin(), entry.shape.end());
    t.strides = row_major(t.shape);
    t.storage = {std::make_shared<const EntrySource>(file, entry.name), 0, entry.end - entry.begin};
    checkpoint.tensors.push_back(std::move(t));
  }
  checkpoint.metadata = file->metadata();
}

}  // namespace g2s::convert
