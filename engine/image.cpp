#include "engine/image.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "engine/files.h"
#include "engine/picture_files.h"

namespace g2s {
namespace {

constexpr std::size_t max_file = std::size_t{1} << 30;

RawImage read_stored(const std::string& path, bool pixels) {
  const std::string content = read_file(path, max_file);
  return read_picture(path, content, pixels);
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

RawImage upright(RawImage image) {
  if (image.info.orientation == 1) return image;
  image.pixels = image.pixels.dtype() == DType::u8 ? turned<std::uint8_t>(image.pixels, image.info.orientation)
                                                   : turned<std::int32_t>(image.pixels, image.info.orientation);
  return image;
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

RawImage read_picture(const std::string& path, std::string_view content, bool pixels) {
  if (content.empty()) fail(Errc::format, path, "is empty");
  const PictureFormat format = picture_format(content);
  switch (format) {
    case PictureFormat::png: return read_png(path, content, pixels);
    case PictureFormat::jpeg: return read_jpeg(path, content, pixels);
    case PictureFormat::webp: return read_webp(path, content, pixels);
    case PictureFormat::tiff: return read_tiff(path, content, pixels);
    case PictureFormat::heif:
    case PictureFormat::avif: return read_heif(path, content, pixels);
    case PictureFormat::pnm: return read_pnm(path, content, pixels);
    case PictureFormat::bmp:
    case PictureFormat::gif: return read_by_stb(path, content, pixels);
    case PictureFormat::none: break;
    default: fail(Errc::unsupported, path, "is a ", to_string(format), " file, which cannot be read: save it as PNG or JPEG");
  }
  fail(Errc::format, path, "is not a picture that can be read (PNG, JPEG, WebP, TIFF, HEIC, AVIF, BMP, GIF, PNM)");
}

RawImage read_raw_image(const std::string& path) { return upright(read_stored(path, true)); }

Image read_image(const std::string& path) {
  RawImage d = read_stored(path, true);
  to_srgb(d);
  d = upright(std::move(d));
  Image image{d.info, channels_u8(d.pixels, 0, 3, d.info.grey()), {}};
  if (d.info.has_alpha()) image.alpha = channels_u8(d.pixels, d.info.channels - 1, 1);
  return image;
}

Tensor read_grey(const std::string& path, ImageInfo* info) {
  RawImage d = read_raw_image(path);
  if (info) *info = d.info;
  return d.pixels.dtype() == DType::u8 ? grey_of<std::uint8_t>(d.pixels, d.info, 255) : grey_of<std::int32_t>(d.pixels, d.info, 65535);
}

bool is_image(const std::string& path) {
  std::string start(64, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  if (!file.is_open()) return false;
  start.resize(static_cast<std::size_t>(file.gcount()));
  if (picture_format(start) != PictureFormat::none) return true;
  std::string ending = std::filesystem::path(path).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const char* const known[] = {".png",  ".jpg",  ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff",
                               ".heic", ".heif", ".avif", ".jxl", ".jp2",  ".tga", ".ppm", ".pgm",  ".pbm", ".pnm"};
  return std::find(std::begin(known), std::end(known), ending) != std::end(known);
}

ImageInfo image_info(const std::string& path) { return read_stored(path, false).info; }

void write_png(const std::string& path, const Tensor& pixels) { write_file(path, encode_png(pixels)); }

}  // namespace g2s
