// PNG files are read by libpng: transparency by colour at every depth, and all interlacing.
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "engine/apple_png.h"
#include "engine/exif.h"
#include "engine/picture_files.h"

namespace g2s {
namespace {

std::uint32_t big_endian(const char* p) {
  const unsigned char* u = reinterpret_cast<const unsigned char*>(p);
  return std::uint32_t{u[0]} << 24 | std::uint32_t{u[1]} << 16 | std::uint32_t{u[2]} << 8 | u[3];
}

// The checksums of all parts, those that nobody needs too: damage there is damage elsewhere.
void check_parts(const std::string& path, std::string_view png) {
  std::size_t at = 8;
  for (;;) {
    if (png.size() - at < 12) fail(Errc::format, path, "is truncated");
    std::size_t length = big_endian(png.data() + at);
    if (length > png.size() - at - 12) fail(Errc::format, path, "is truncated");
    std::uint32_t sum =
        static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(png.data() + at + 4), static_cast<uInt>(length + 4)));
    if (sum != big_endian(png.data() + at + 8 + length)) fail(Errc::format, path, "is damaged: the checksum of a part does not match");
    if (png.substr(at + 4, 4) == "IEND") return;
    at += length + 12;
  }
}

// Its functions hold nothing that would need a destructor, because libpng leaves by longjmp.
struct Reader {
  std::string_view content;
  std::size_t at = 0;
  bool starved = false;
  char error[128] = {};
  png_structp png = nullptr;
  png_infop info = nullptr;
  bool transparent = false;

  explicit Reader(std::string_view file) : content(file) {}
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;

  static void take(png_structp png, png_bytep out, png_size_t size) {
    Reader& self = *static_cast<Reader*>(png_get_io_ptr(png));
    if (size > self.content.size() - self.at) {
      self.starved = true;
      png_error(png, "the file ends");
    }
    std::memcpy(out, self.content.data() + self.at, size);
    self.at += size;
  }
  static void on_error(png_structp png, png_const_charp message) {
    Reader& self = *static_cast<Reader*>(png_get_error_ptr(png));
    std::strncpy(self.error, message, sizeof self.error - 1);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}

  bool read_header() {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info = png ? png_create_info_struct(png) : nullptr;
    if (!info) return false;
    if (setjmp(png_jmpbuf(png))) return false;
    png_set_read_fn(png, this, take);
    png_set_user_limits(png, 100000, 100000);
    png_set_chunk_malloc_max(png, 16u << 20);
    png_read_info(png, info);
    transparent = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
    return true;
  }

  bool prepare(bool wide) {
    if (setjmp(png_jmpbuf(png))) return false;
    const int colour = png_get_color_type(png, info);
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (colour == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (transparent) png_set_tRNS_to_alpha(png);
    if (wide && std::endian::native == std::endian::little) png_set_swap(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    return true;
  }

  bool read_rows(png_bytep* rows) {
    if (setjmp(png_jmpbuf(png))) return false;
    png_read_image(png, rows);
    png_read_end(png, nullptr);
    return true;
  }

  [[noreturn]] void refuse(const std::string& path) const {
    if (starved) fail(Errc::format, path, "is truncated");
    fail(Errc::format, path, "is truncated or damaged (", error, ")");
  }
};

std::string profile_of(const Reader& r) {
  png_charp name = nullptr;
  png_bytep profile = nullptr;
  png_uint_32 length = 0;
  int method = 0;
  if (!png_get_iCCP(r.png, r.info, &name, &method, &profile, &length)) return {};
  return {reinterpret_cast<const char*>(profile), length};
}

}  // namespace

RawImage read_png(const std::string& path, std::string_view content, bool pixels) {
  if (is_apple_png(content)) {
    if (pixels) check_parts(path, content);
    const std::string ordinary = ordinary_png(path, content);
    RawImage out = read_png(path, ordinary, pixels);
    if (pixels) mend_apple_colours(out.pixels);
    return out;
  }
  Reader r(content);
  if (!r.read_header()) r.refuse(path);
  RawImage out;
  out.info = {png_get_image_width(r.png, r.info), png_get_image_height(r.png, r.info)};
  require_picture_size(path, out.info.width, out.info.height);
  const int colour = png_get_color_type(r.png, r.info);
  const bool alpha = (colour & PNG_COLOR_MASK_ALPHA) != 0 || r.transparent;
  out.info.channels = (colour & PNG_COLOR_MASK_COLOR ? 3 : 1) + (alpha ? 1 : 0);
  out.info.bit_depth = png_get_bit_depth(r.png, r.info) == 16 ? 16 : 8;
  out.info.orientation = exif_orientation(content);
  if (!pixels) return out;
  check_parts(path, content);
  out.profile = profile_of(r);
  const bool wide = out.info.bit_depth == 16;
  if (!r.prepare(wide)) r.refuse(path);
  const std::int64_t h = out.info.height, w = out.info.width, c = out.info.channels;
  const auto row = static_cast<std::size_t>(w * c) * (wide ? 2 : 1);
  if (png_get_rowbytes(r.png, r.info) != row) fail(Errc::internal, path, "libpng gives rows of another length");
  std::vector<png_byte> deep(wide ? row * static_cast<std::size_t>(h) : 0);
  out.pixels = Tensor::empty({1, h, w, c}, wide ? DType::i32 : DType::u8, Device{});
  png_bytep first = wide ? deep.data() : static_cast<png_bytep>(out.pixels.mutable_raw());
  std::vector<png_bytep> rows(static_cast<std::size_t>(h));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = first + i * row;
  if (!r.read_rows(rows.data())) r.refuse(path);
  if (wide) {
    const auto* from = reinterpret_cast<const std::uint16_t*>(deep.data());
    std::copy(from, from + out.pixels.numel(), out.pixels.mutable_data<std::int32_t>());
  }
  return out;
}

}  // namespace g2s
