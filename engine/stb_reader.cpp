// BMP, GIF, and JPEG where there is no libjpeg: read by stb_image.
#include <algorithm>
#include <cstring>
#include <memory>

#include "engine/exif.h"
#include "engine/picture_files.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS 100000
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace g2s {
namespace {

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

ImageInfo info_of(const std::string& path, std::string_view content) {
  Feed feed{content};
  int w = 0, h = 0, c = 0;
  if (!stbi_info_from_callbacks(&Feed::callbacks, &feed, &w, &h, &c)) {
    if (feed.starved && content.size() > 8) fail(Errc::format, path, "is truncated");
    if (std::string_view(stbi_failure_reason()) == "too large") fail(Errc::format, path, "is too large a picture");
    fail(Errc::format, path, "is truncated or damaged (", stbi_failure_reason(), ")");
  }
  require_picture_size(path, w, h);
  return {w, h, c, 8, exif_orientation(content)};
}

}  // namespace

RawImage read_by_stb(const std::string& path, std::string_view content, bool pixels) {
  RawImage out;
  out.info = info_of(path, content);
  if (!pixels) return out;
  Feed feed{content};
  int w = 0, h = 0, c = 0;
  const std::unique_ptr<void, void (*)(void*)> raw(stbi_load_from_callbacks(&Feed::callbacks, &feed, &w, &h, &c, out.info.channels),
                                                   stbi_image_free);
  if (feed.starved) fail(Errc::format, path, "is truncated");
  if (!raw) {
    const std::string reason = stbi_failure_reason();
    if (reason == "outofmem") fail(Errc::out_of_memory, path, "does not fit into memory");
    fail(Errc::format, path, "is truncated or damaged (", reason, ")");
  }
  out.pixels = Tensor::empty({1, h, w, out.info.channels}, DType::u8, Device{});
  std::memcpy(out.pixels.mutable_raw(), raw.get(), out.pixels.bytes());
  return out;
}

}  // namespace g2s
