#include "weights_converter/text.h"

#include "engine/error.h"
#include "engine/shown.h"

namespace g2s::convert {
namespace {

// Characters below U+0080 are one byte of UTF-8, those below U+0100 are C2 or C3 and one more.
class Latin1Source final : public ByteSource {
 public:
  Latin1Source(Bytes text, std::uint64_t size) : text_(std::move(text)), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Memory load() const override {
    auto decoded = decoded_.lock();
    if (!decoded) {
      const Memory memory = text_.load();
      const std::string_view text = memory.view();
      std::string bytes;
      bytes.reserve(size_);
      for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        bytes += c < 0x80 ? text[i] : static_cast<char>(((c & 3u) << 6) | (static_cast<unsigned char>(text[++i]) & 0x3fu));
      }
      decoded = std::make_shared<const std::string>(std::move(bytes));
      decoded_ = decoded;
    }
    return {decoded->data(), decoded->size(), decoded};
  }

 private:
  Bytes text_;
  std::uint64_t size_;
  mutable std::weak_ptr<const std::string> decoded_;
};

}  // namespace

std::string printable(std::string_view text, std::size_t longest) {
  std::string out;
  for (char c : text.substr(0, longest)) out += c >= ' ' && c <= '~' ? c : '?';
  return text.size() > longest ? out + "..." : out;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string latin1_to_utf8(std::string_view bytes) {
  std::string out;
  for (char c : bytes) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x80) out += c;
    else out += {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
  }
  return out;
}

Bytes decode_latin1(const std::string& path, const Bytes& text) {
  const Memory memory = text.load();
  std::uint64_t size = 0;
  for (std::size_t i = 0; i < memory.size; ++i, ++size) {
    const auto c = static_cast<unsigned char>(memory.data[i]);
    if (c < 0x80) continue;
    const bool pair = (c == 0xc2 || c == 0xc3) && i + 1 < memory.size && (static_cast<unsigned char>(memory.data[i + 1]) & 0xc0u) == 0x80u;
    if (!pair) fail(Errc::format, path, "its pickle encodes text as latin1 that has other characters");
    ++i;
  }
  if (size == text.size) return text;  // ASCII
  return {std::make_shared<const Latin1Source>(text, size), 0, size};
}

}  // namespace g2s::convert
