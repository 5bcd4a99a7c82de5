// Decoders of pictures, one for each format. A build has those whose libraries were found; PNG, JPEG, BMP, GIF and PNM are always read.
#pragma once

#include <string>
#include <string_view>

#include "engine/image.h"

namespace g2s {

enum class PictureFormat {
  png,
  jpeg,
  bmp,
  gif,
  pnm,
  webp,
  tiff,
  heif,
  avif,
  jpeg_xl,
  jpeg_2000,
  psd,
  exr,
  hdr,
  dds,
  qoi,
  ico,
  pam,
  camera,
  pdf,
  svg,
  none
};
const char* to_string(PictureFormat format);

// Told by the first bytes.
PictureFormat picture_format(std::string_view content);

// By the decoder of its format.
RawImage read_picture(const std::string& path, std::string_view content, bool pixels);

// Each throws Error(format) naming `path`: truncated, damaged, too large. Pixels as stored, not turned, or none where only the form is
// asked for. Where its library is absent it is Error(unsupported), or stb_image reads the format.
RawImage read_png(const std::string& path, std::string_view content, bool pixels);
RawImage read_jpeg(const std::string& path, std::string_view content, bool pixels);
RawImage read_webp(const std::string& path, std::string_view content, bool pixels);
RawImage read_tiff(const std::string& path, std::string_view content, bool pixels);
RawImage read_heif(const std::string& path, std::string_view content, bool pixels);
RawImage read_pnm(const std::string& path, std::string_view content, bool pixels);
RawImage read_by_stb(const std::string& path, std::string_view content, bool pixels);  // BMP, GIF; JPEG without libjpeg

// The checks that all share.
void require_picture_size(const std::string& path, std::int64_t width, std::int64_t height);
[[noreturn]] void refuse_format(const std::string& path, const char* format, const char* library);

// Four inks of 8 bits as RGB, 255 the most ink: by the profile where there is one and lcms2, else as Pillow does.
Tensor rgb_of_cmyk(const Tensor& inks, const std::string& profile);
// In sRGB, where the profile says that it is something else; unchanged without lcms2, without a profile or with one that cannot be used.
void to_srgb(RawImage& image);

}  // namespace g2s
