#include "engine/apple_png.h"

#include <zlib.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace g2s {
namespace {

constexpr std::size_t most_bytes = std::size_t{1} << 30;  // of pixels

std::uint32_t number(const char* at) {
  const auto* u = reinterpret_cast<const unsigned char*>(at);
  return std::uint32_t{u[0]} << 24 | std::uint32_t{u[1]} << 16 | std::uint32_t{u[2]} << 8 | u[3];
}

std::string big_endian(std::uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16 & 255), static_cast<char>(v >> 8 & 255), static_cast<char>(v & 255)};
}

std::string part(const std::string& name, const std::string& body) {
  const std::string both = name + body;
  const uLong sum = crc32(0, reinterpret_cast<const Bytef*>(both.data()), static_cast<uInt>(both.size()));
  return big_endian(static_cast<std::uint32_t>(body.size())) + both + big_endian(static_cast<std::uint32_t>(sum));
}

// A stream of DEFLATE alone becomes one of zlib, piece by piece.
class Repacker {
 public:
  explicit Repacker(const std::string& path) : path_(path) {
    if (inflateInit2(&in_, -MAX_WBITS) != Z_OK) fail(Errc::out_of_memory, path, "does not fit into memory");
    if (deflateInit(&out_, 1) != Z_OK) {
      inflateEnd(&in_);
      fail(Errc::out_of_memory, path, "does not fit into memory");
    }
  }
  ~Repacker() {
    inflateEnd(&in_);
    deflateEnd(&out_);
  }
  Repacker(const Repacker&) = delete;

  void take(std::string_view packed) {
    in_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    in_.avail_in = static_cast<uInt>(packed.size());
    while (in_.avail_in > 0 && !ended_) {
      in_.next_out = plain_.data(), in_.avail_out = static_cast<uInt>(plain_.size());
      const int status = inflate(&in_, Z_NO_FLUSH);
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) fail(Errc::format, path_, "is truncated or damaged");
      ended_ = status == Z_STREAM_END;
      total_ += plain_.size() - in_.avail_out;
      if (total_ > most_bytes) fail(Errc::format, path_, "is too large a picture");
      pack(plain_.size() - in_.avail_out, Z_NO_FLUSH);
    }
  }

  std::string finish() {
    if (!ended_) fail(Errc::format, path_, "is truncated");
    pack(0, Z_FINISH);
    return std::move(made_);
  }

 private:
  void pack(std::size_t count, int flush) {
    std::vector<Bytef> piece(1u << 16);
    out_.next_in = plain_.data(), out_.avail_in = static_cast<uInt>(count);
    do {
      out_.next_out = piece.data(), out_.avail_out = static_cast<uInt>(piece.size());
      deflate(&out_, flush);
      made_.append(reinterpret_cast<const char*>(piece.data()), piece.size() - out_.avail_out);
    } while (out_.avail_out == 0);
  }

  const std::string& path_;
  z_stream in_{}, out_{};
  std::vector<Bytef> plain_ = std::vector<Bytef>(1u << 16);
  std::string made_;
  std::size_t total_ = 0;
  bool ended_ = false;
};

}  // namespace

bool is_apple_png(std::string_view png) { return png.size() > 16 && png.substr(12, 4) == "CgBI"; }

std::string ordinary_png(const std::string& path, std::string_view png) {
  Repacker pixels(path);
  std::string before(png.substr(0, 8)), after;
  for (std::size_t at = 8; at + 12 <= png.size();) {
    const std::size_t length = number(png.data() + at);
    if (length > png.size() - at - 12) fail(Errc::format, path, "is truncated");
    const std::string name(png.substr(at + 4, 4)), body(png.substr(at + 8, length));
    if (name == "IDAT") pixels.take(body);
    else if (name == "IHDR" || name == "iCCP" || name == "eXIf" || name == "PLTE" || name == "tRNS") before += part(name, body);
    at += length + 12;
  }
  return before + part("IDAT", pixels.finish()) + part("IEND", {});
}

void mend_apple_colours(Tensor& pixels) {
  const std::int64_t c = pixels.dim(3);
  if (c < 3 || pixels.dtype() != DType::u8) return;
  std::uint8_t* p = pixels.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < pixels.numel(); i += c) {
    std::swap(p[i], p[i + 2]);
    const int alpha = c == 4 ? p[i + 3] : 255;
    for (int k = 0; k < 3 && alpha > 0; ++k) p[i + k] = static_cast<std::uint8_t>(std::min(255, (p[i + k] * 255 + alpha / 2) / alpha));
  }
}

}  // namespace g2s
