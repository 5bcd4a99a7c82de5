// Images: files to pixels and back, upright. Pixels are u8 NHWC tensors of one image, [1,H,W,C]; nothing here is differentiable.
#pragma once

#include <string>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// How the file stored the image, before it was brought to the form below.
struct ImageInfo {
  std::int64_t width = 0, height = 0;  // as stored, before the EXIF orientation
  int channels = 0;                    // 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA
  int bit_depth = 8;                   // 8 or 16
  int orientation = 1;                 // EXIF, 1 to 8; 1 is upright
  bool grey() const { return channels <= 2; }
  bool has_alpha() const { return channels == 2 || channels == 4; }
};

struct Image {
  ImageInfo info;
  Tensor rgb;    // u8 [1,H,W,3], upright; grey is repeated, 16 bits are rounded to 8
  Tensor alpha;  // u8 [1,H,W,1]; undefined if the file has none
  std::int64_t width() const { return rgb.dim(2); }
  std::int64_t height() const { return rgb.dim(1); }
};

// As stored, but upright.
struct RawImage {
  ImageInfo info;
  Tensor pixels;        // [1,H,W,channels]: u8, or i32 of 16 bits
  std::string profile;  // ICC; empty: none
};

constexpr std::int64_t max_image_pixels = 100'000'000;

// PNG, JPEG, BMP, GIF (first frame) and PNM; WebP (first frame), TIFF (first page), HEIC and AVIF where their libraries were found when the
// program was built. Colours become sRGB. Throws Error(io), Error(format) or, of formats that are not read, Error(unsupported), naming the
// file: absent, not an image, truncated, damaged, or of more than max_image_pixels.
Image read_image(const std::string& path);
RawImage read_raw_image(const std::string& path);
// One value per pixel, upright, f32 [1,H,W,1] in [0,1]: grey value/255 or value/65535 (colours are weighted as by PIL's "L"), times alpha.
Tensor read_grey(const std::string& path, ImageInfo* info = nullptr);
// Whether a file's content begins as an image's does, of a format that is read or not, or its name ends as one's does. False if it cannot
// be opened.
bool is_image(const std::string& path);
// What pictures are read by in this build: libpng, libjpeg, ...
std::string picture_libraries();
std::string picture_formats();  // PNG, JPEG, ... or PNM: what this build reads
// The size and form alone, without decoding.
ImageInfo image_info(const std::string& path);

// u8 [H,W,C] or [1,H,W,C] with 1, 3 or 4 channels as 8 bits; i32 with values 0 to 65535 and 1 or 3 channels as 16 bits. The bytes depend on
// the pixels alone.
std::string encode_png(const Tensor& pixels);
void write_png(const std::string& path, const Tensor& pixels);

// Antialiased resize of u8 pixels in fixed point, rows first: to the bit as Pillow's Image.resize does it in mode L or RGB. (Pillow 13 takes
// columns first for some oblong sizes; squares are the same either way.)
enum class ResizeFilter { bilinear, box };
Tensor resize_pixels(const Tensor& pixels, std::int64_t height, std::int64_t width, ResizeFilter filter = ResizeFilter::bilinear);

// Channels [first, first + count) of u8 or 16-bit (i32) pixels of one image, as u8; `repeat`: the first of them, `count` times.
Tensor channels_u8(const Tensor& pixels, std::int64_t first, std::int64_t count, bool repeat = false);

// The part from (top, left), which must lie within the image. Any dtype.
Tensor crop_pixels(const Tensor& pixels, std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width);

// u8 to f32 in [-1,1] (value / 255 * 2 - 1) and back (clamped, rounded).
Tensor pixels_to_image(const Tensor& pixels);
Tensor image_to_pixels(const Tensor& image);

}  // namespace g2s
