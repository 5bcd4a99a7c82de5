// PNM: P1 to P6, of text and of bytes.
#include <algorithm>
#include <cctype>

#include "engine/picture_files.h"

namespace g2s {
namespace {

class Pnm {
 public:
  Pnm(const std::string& path, std::string_view content) : path_(path), content_(content), kind_(content[1] - '0'), at_(2) {}

  RawImage read(bool pixels) {
    const std::int64_t w = number(), h = number();
    require_picture_size(path_, w, h);
    top_ = bits() ? 1 : number();
    if (top_ < 1 || top_ > 65535) fail(Errc::format, path_, "is damaged: its brightest value is ", top_);
    RawImage out;
    out.info = {w, h, kind_ % 3 == 0 ? 3 : 1, top_ > 255 ? 16 : 8};
    if (!pixels) return out;
    if (!text()) ++at_;  // one blank before the bytes
    out.pixels = Tensor::empty({1, h, w, out.info.channels}, top_ > 255 ? DType::i32 : DType::u8, Device{});
    if (kind_ == 4) read_bits(out.pixels);
    else if (top_ > 255) fill(out.pixels.mutable_data<std::int32_t>(), out.pixels.numel(), 65535);
    else fill(out.pixels.mutable_data<std::uint8_t>(), out.pixels.numel(), 255);
    return out;
  }

 private:
  bool text() const { return kind_ <= 3; }
  bool bits() const { return kind_ == 1 || kind_ == 4; }

  void skip_blanks() {
    while (at_ < content_.size()) {
      if (content_[at_] == '#') at_ = std::min(content_.find_first_of("\r\n", at_), content_.size());
      else if (std::isspace(static_cast<unsigned char>(content_[at_]))) ++at_;
      else return;
    }
  }

  std::int64_t number() {
    skip_blanks();
    if (at_ == content_.size()) fail(Errc::format, path_, "is truncated");
    std::int64_t value = 0;
    const std::size_t begin = at_;
    while (at_ < content_.size() && std::isdigit(static_cast<unsigned char>(content_[at_])) && at_ - begin < 10)
      value = value * 10 + (content_[at_++] - '0');
    if (at_ == begin) fail(Errc::format, path_, "is damaged: a number is missing");
    return value;
  }

  std::int64_t byte() {
    if (at_ >= content_.size()) fail(Errc::format, path_, "is truncated");
    return static_cast<unsigned char>(content_[at_++]);
  }

  std::int64_t value() {
    if (kind_ == 1) {  // digits need no blanks between them
      skip_blanks();
      const std::int64_t digit = byte() - '0';
      if (digit != 0 && digit != 1) fail(Errc::format, path_, "is damaged: a bit is neither 0 nor 1");
      return 1 - digit;  // 1 is black
    }
    if (text()) return number();
    const std::int64_t high = top_ > 255 ? byte() << 8 : 0;
    return high | byte();
  }

  template <class T> void fill(T* to, std::int64_t n, std::int64_t top) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<T>((std::min(value(), top_) * top * 2 + top_) / (2 * top_));
    // A number that the file's end cuts off is another number.
    if (text() && !bits() && at_ == content_.size() && n > 0 && !std::isspace(static_cast<unsigned char>(content_.back())))
      fail(Errc::format, path_, "is truncated");
  }

  void read_bits(Tensor& pixels) {
    const std::int64_t h = pixels.dim(1), w = pixels.dim(2);
    std::uint8_t* to = pixels.mutable_data<std::uint8_t>();
    for (std::int64_t y = 0; y < h; ++y)
      for (std::int64_t x = 0; x < w; x += 8) {
        const std::int64_t eight = byte();
        for (std::int64_t k = x; k < std::min(w, x + 8); ++k) to[y * w + k] = eight >> (7 - (k - x)) & 1 ? 0 : 255;
      }
  }

  const std::string& path_;
  std::string_view content_;
  int kind_;
  std::size_t at_;
  std::int64_t top_ = 255;
};

}  // namespace

RawImage read_pnm(const std::string& path, std::string_view content, bool pixels) { return Pnm(path, content).read(pixels); }

}  // namespace g2s
