#include "weights_converter/bytes.h"

#include "engine/error.h"
#include "engine/mapped_file.h"

namespace g2s::convert {
namespace {

class FileSource final : public ByteSource {
 public:
  explicit FileSource(std::shared_ptr<const MappedFile> file) : file_(std::move(file)) {}
  std::uint64_t size() const override { return file_->size(); }
  Memory load() const override { return {file_->data(), file_->size(), file_}; }

 private:
  std::shared_ptr<const MappedFile> file_;
};

class BufferSource final : public ByteSource {
 public:
  explicit BufferSource(std::string buffer) : buffer_(std::make_shared<const std::string>(std::move(buffer))) {}
  std::uint64_t size() const override { return buffer_->size(); }
  Memory load() const override { return {buffer_->data(), buffer_->size(), buffer_}; }

 private:
  std::shared_ptr<const std::string> buffer_;
};

}  // namespace

Memory Bytes::load() const {
  if (size == 0) return {};
  Memory all = source->load();
  return {all.data + begin, size, all.owner};
}

Bytes Bytes::slice(std::uint64_t offset, std::uint64_t count) const {
  if (offset > size || count > size - offset) fail(Errc::internal, "bytes", offset, "+", count, " do not lie within ", size);
  return {source, begin + offset, count};
}

Bytes map_file(const std::string& path) {
  auto source = std::make_shared<const FileSource>(MappedFile::open(path));
  return {source, 0, source->size()};
}

Bytes own_bytes(std::string buffer) {
  const std::uint64_t size = buffer.size();
  return {std::make_shared<const BufferSource>(std::move(buffer)), 0, size};
}

}  // namespace g2s::convert
