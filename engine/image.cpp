#include "engine/image.h"

#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>
#include <string_view>

#include "engine/exif.h"
#include "engine/files.h"

// Formats whose files can be told by their first bytes; TGA and the like cannot.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#define STBI_ONLY_PNM
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 100000
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace g2s {
namespace {

constexpr std::size_t max_file = std::size_t{1} << 30;

// Feeds the decoder from memory and notices when it wants more than there is: it would go on with zeros and return a half-grey image.
struct Feed {
  std::string_view content;
  std::size_t at = 0;
  bool starved = false;

  static int read(void* user, char* out, int size) {
    Feed& feed = *static_cast<Feed*>(user);
    std::size_t n = std::min(feed.content.size() - feed.at, static_cast<std::size_t>(size));
    // The decoder's buffer asks for 128 bytes and takes what it gets; anything else is what it needs.
    if (n == 0 ? size > 0 : n < static_cast<std::size_t>(size) && size != 128) feed.starved = true;
    std::memcpy(out, feed.content.data() + feed.at, n);
    feed.at += n;
    return static_cast<int>(n);
  }
  static void skip(void* user, int n) {
    Feed& feed = *static_cast<Feed*>(user);
    if (n < 0) {
      feed.at -= std::min(feed.at, static_cast<std::size_t>(-static_cast<long>(n)));
      return;
    }
    std::size_t left = feed.content.size() - feed.at;
    if (static_cast<std::size_t>(n) > left) feed.starved = true;
    feed.at += std::min(left, static_cast<std::size_t>(n));
  }
  static int eof(void* user) {
    Feed& feed = *static_cast<Feed*>(user);
    return feed.at >= feed.content.size();
  }
  static constexpr stbi_io_callbacks callbacks{read, skip, eof};
};

std::uint32_t big_endian(const char* p) {
  const unsigned char* u = reinterpret_cast<const unsigned char*>(p);
  return std::uint32_t{u[0]} << 24 | std::uint32_t{u[1]} << 16 | std::uint32_t{u[2]} << 8 | u[3];
}

// The decoder ignores the checksums of PNG chunks, so damage would pass as content.
void check_png(const std::string& path, std::string_view png) {
  std::size_t at = 8;
  for (;;) {
    if (png.size() - at < 12) fail(Errc::format, path, "is truncated");
    std::size_t length = big_endian(png.data() + at);
    if (length > png.size() - at - 12) fail(Errc::format, path, "is truncated");
    std::uint32_t sum = static_cast<std::uint32_t>(
        crc32(0, reinterpret_cast<const Bytef*>(png.data() + at + 4), static_cast<uInt>(length + 4)));
    if (sum != big_endian(png.data() + at + 8 + length)) fail(Errc::format, path, "is damaged: the checksum of a part does not match");
    if (png.substr(at + 4, 4) == "IEND") return;
    at += length + 12;
  }
}

bool is_png(std::string_view content) { return content.substr(0, 8) == std::string_view("\x89PNG\r\n\x1a\n", 8); }

ImageInfo info_of(const std::string& path, std::string_view content) {
  if (content.empty()) fail(Errc::format, path, "is empty");
  Feed feed{content};
  int w = 0, h = 0, c = 0;
  if (!stbi_info_from_callbacks(&Feed::callbacks, &feed, &w, &h, &c)) {
    if (feed.starved && content.size() > 8 && (is_png(content) || content.substr(0, 2) == "\xff\xd8")) fail(Errc::format, path, "is truncated");
    if (std::string_view(stbi_failure_reason()) == "too large") fail(Errc::format, path, "is too large a picture");
    fail(Errc::format, path, "is not a picture that can be read (PNG, JPEG, BMP, GIF, PNM)");
  }
  if (std::int64_t{w} * h > max_image_pixels) {
    fail(Errc::format, path, "is ", w, " x ", h, " pixels, more than the ", max_image_pixels / 1000000, " megapixels accepted");
  }
  if (w < 1 || h < 1) fail(Errc::format, path, "is truncated or damaged: it has no pixels");
  Feed again{content};
  bool wide = stbi_is_16_bit_from_callbacks(&Feed::callbacks, &again) != 0;
  return {w, h, c, wide ? 16 : 8, exif_orientation(content)};
}

// u8 or, of 16 bits, i32; [1,H,W,channels as stored], not turned.
Tensor decode(const std::string& path, std::string_view content, const ImageInfo& info) {
  if (is_png(content)) check_png(path, content);
  Feed feed{content};
  int w = 0, h = 0, c = 0;
  bool wide = info.bit_depth == 16;
  void* raw = wide ? static_cast<void*>(stbi_load_16_from_callbacks(&Feed::callbacks, &feed, &w, &h, &c, info.channels))
                   : static_cast<void*>(stbi_load_from_callbacks(&Feed::callbacks, &feed, &w, &h, &c, info.channels));
  std::unique_ptr<void, void (*)(void*)> pixels(raw, stbi_image_free);
  if (feed.starved) fail(Errc::format, path, "is truncated");
  if (!pixels) {
    std::string reason = stbi_failure_reason();
    if (reason == "outofmem") fail(Errc::out_of_memory, path, "does not fit into memory");
    fail(Errc::format, path, "is truncated or damaged (", reason, ")");
  }
  Tensor out = Tensor::empty({1, h, w, info.channels}, wide ? DType::i32 : DType::u8, Device{});
  if (wide) {
    const stbi_us* from = static_cast<const stbi_us*>(pixels.get());
    std::copy(from, from + out.numel(), out.mutable_data<std::int32_t>());
  } else {
    std::memcpy(out.mutable_raw(), pixels.get(), out.bytes());
  }
  return out;
}

template <class T>
Tensor turned(const Tensor& x, int orientation) {
  const std::int64_t h = x.dim(1), w = x.dim(2), c = x.dim(3);
  const bool swaps = orientation >= 5;
  const std::int64_t oh = swaps ? w : h, ow = swaps ? h : w;
  Tensor y = Tensor::empty({1, oh, ow, c}, x.dtype(), Device{});
  const T* from = x.data<T>();
  T* to = y.mutable_data<T>();
  for (std::int64_t i = 0; i < oh; ++i)
    for (std::int64_t j = 0; j < ow; ++j) {
      std::int64_t r = swaps ? j : i, s = swaps ? i : j;
      // EXIF: 2 mirrored, 3 upside down, 4 both, 5 transposed, 6 to be turned right, 7 transposed over the other diagonal, 8 to be turned left.
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) r = h - 1 - r;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) s = w - 1 - s;
      std::copy_n(from + (r * w + s) * c, c, to + (i * ow + j) * c);
    }
  return y;
}

struct Decoded {
  ImageInfo info;
  Tensor pixels;  // upright
};

Decoded read_upright(const std::string& path) {
  std::string content = read_file(path, max_file);
  Decoded d{info_of(path, content), {}};
  d.pixels = decode(path, content, d.info);
  if (d.info.orientation != 1) {
    d.pixels = d.pixels.dtype() == DType::u8 ? turned<std::uint8_t>(d.pixels, d.info.orientation) : turned<std::int32_t>(d.pixels, d.info.orientation);
  }
  return d;
}

template <class T>
Tensor grey_of(const Tensor& x, const ImageInfo& info, std::int64_t top) {
  const std::int64_t c = x.dim(3), pixels = x.dim(1) * x.dim(2);
  Tensor y = Tensor::empty({1, x.dim(1), x.dim(2), 1}, DType::f32, Device{});
  const T* from = x.data<T>();
  float* to = y.mutable_data<float>();
  for (std::int64_t p = 0; p < pixels; ++p) {
    const T* v = from + p * c;
    // ITU-R 601 luma in 16-bit fixed point, rounded.
    std::int64_t grey = info.grey() ? v[0] : (std::int64_t{v[0]} * 19595 + std::int64_t{v[1]} * 38470 + std::int64_t{v[2]} * 7471 + 0x8000) >> 16;
    to[p] = static_cast<float>(grey) / static_cast<float>(top);
    if (info.has_alpha()) to[p] *= static_cast<float>(v[c - 1]) / static_cast<float>(top);
  }
  return y;
}

}  // namespace

Tensor channels_u8(const Tensor& x, std::int64_t first, std::int64_t count, bool repeat) {
  const std::int64_t c = x.dim(3), pixels = x.dim(1) * x.dim(2);
  Tensor y = Tensor::empty({1, x.dim(1), x.dim(2), count}, DType::u8, Device{});
  std::uint8_t* to = y.mutable_data<std::uint8_t>();
  auto copy = [&](const auto* from, auto narrow) {
    for (std::int64_t p = 0; p < pixels; ++p)
      for (std::int64_t k = 0; k < count; ++k) to[p * count + k] = narrow(from[p * c + first + (repeat ? 0 : k)]);
  };
  if (x.dtype() == DType::u8) copy(x.data<std::uint8_t>(), [](std::uint8_t v) { return v; });
  else copy(x.data<std::int32_t>(), [](std::int32_t v) { return static_cast<std::uint8_t>((v * 255 + 32767) / 65535); });
  return y;
}

Image read_image(const std::string& path) {
  Decoded d = read_upright(path);
  Image image{d.info, channels_u8(d.pixels, 0, 3, d.info.grey()), {}};
  if (d.info.has_alpha()) image.alpha = channels_u8(d.pixels, d.info.channels - 1, 1);
  return image;
}

Tensor read_grey(const std::string& path, ImageInfo* info) {
  Decoded d = read_upright(path);
  if (info) *info = d.info;
  return d.pixels.dtype() == DType::u8 ? grey_of<std::uint8_t>(d.pixels, d.info, 255) : grey_of<std::int32_t>(d.pixels, d.info, 65535);
}

bool is_image(const std::string& path) {
  char start[8] = {};
  std::ifstream(path, std::ios::binary).read(start, sizeof start);
  const std::string_view text(start, sizeof start);
  const bool pnm = text[0] == 'P' && text[1] >= '1' && text[1] <= '6' && std::isspace(static_cast<unsigned char>(text[2]));
  return is_png(text) || pnm || text.substr(0, 3) == "\xff\xd8\xff" || text.substr(0, 4) == "GIF8" || (text.substr(0, 2) == "BM" && text[2] != 0);
}

ImageInfo image_info(const std::string& path) { return info_of(path, read_file(path, max_file)); }

void write_png(const std::string& path, const Tensor& pixels) { write_file(path, encode_png(pixels)); }

}  // namespace g2s
