#include <algorithm>
#include <cctype>

#include "engine/picture_files.h"

namespace g2s {
namespace {

struct Start {
  PictureFormat format;
  std::string_view bytes;
  std::size_t at = 0;
};

using enum PictureFormat;

constexpr Start starts[] = {
    {png, std::string_view("\x89PNG\r\n\x1a\n", 8)},
    {jpeg, "\xff\xd8\xff"},
    {gif, "GIF87a"},
    {gif, "GIF89a"},
    {webp, "WEBP", 8},
    {tiff, std::string_view("II*\0", 4)},
    {tiff, std::string_view("MM\0*", 4)},
    {tiff, std::string_view("II+\0", 4)},
    {tiff, std::string_view("MM\0+", 4)},
    {jpeg_xl, "\xff\x0a"},
    {jpeg_xl, std::string_view("\0\0\0\x0cJXL \r\n\x87\n", 12)},
    {jpeg_2000, std::string_view("\0\0\0\x0cjP  \r\n\x87\n", 12)},
    {jpeg_2000, "\xff\x4f\xff\x51"},
    {psd, "8BPS"},
    {exr, std::string_view("\x76\x2f\x31\x01", 4)},
    {hdr, "#?RADIANCE"},
    {hdr, "#?RGBE"},
    {dds, "DDS "},
    {qoi, "qoif"},
    {ico, std::string_view("\0\0\1\0", 4)},
    {pam, "P7\n"},
    {camera, "FUJIFILMCCD-RAW"},
    {pdf, "%PDF-"},
    {svg, "<svg"},
};

// Files of the ISO base format say by their brands what is in them.
PictureFormat of_brands(std::string_view content) {
  if (content.size() < 16 || content.substr(4, 4) != "ftyp") return none;
  for (const char* brand : {"avif", "avis"})
    if (content.substr(8, 4) == brand) return avif;
  for (const char* brand : {"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"})
    if (content.substr(8, 4) == brand) return content.substr(16, 32).find("avif") != std::string_view::npos ? avif : heif;
  return content.substr(8, 3) == "crx" ? camera : none;
}

}  // namespace

const char* to_string(PictureFormat format) {
  constexpr const char* names[] = {"PNG",  "JPEG",     "BMP",        "GIF",       "PNM",     "WebP",         "TIFF", "HEIC",
                                   "AVIF", "JPEG XL",  "JPEG 2000",  "Photoshop", "OpenEXR", "Radiance HDR", "DDS",  "QOI",
                                   "ICO",  "PAM (P7)", "camera raw", "PDF",       "SVG",     "no picture"};
  return names[static_cast<std::size_t>(format)];
}

PictureFormat picture_format(std::string_view content) {
  for (const Start& start : starts) {
    if (content.size() < start.at || content.substr(start.at, start.bytes.size()) != start.bytes) continue;
    if (start.format != webp || content.substr(0, 4) == "RIFF") return start.format;
  }
  if (content.size() > 2 && content[0] == 'P' && content[1] >= '1' && content[1] <= '6' &&
      std::isspace(static_cast<unsigned char>(content[2])))
    return pnm;
  if (content.size() > 2 && content.substr(0, 2) == "BM" && content[2] != 0) return bmp;
  return of_brands(content);
}

std::string picture_libraries() {
  std::string names = "libpng";
#ifdef G2S_WITH_JPEG
  names += ", libjpeg";
#endif
#ifdef G2S_WITH_WEBP
  names += ", libwebp";
#endif
#ifdef G2S_WITH_TIFF
  names += ", libtiff";
#endif
#ifdef G2S_WITH_HEIF
  names += ", libheif";
#endif
#ifdef G2S_WITH_LCMS
  names += ", lcms2";
#endif
  return names + ", stb_image";
}

std::string picture_formats() {
  std::string names = "PNG, JPEG";
#ifdef G2S_WITH_WEBP
  names += ", WebP";
#endif
#ifdef G2S_WITH_TIFF
  names += ", TIFF";
#endif
#ifdef G2S_WITH_HEIF
  names += ", HEIC, AVIF";
#endif
  return names + ", BMP, GIF or PNM";
}

void require_picture_size(const std::string& path, std::int64_t width, std::int64_t height) {
  if (width < 1 || height < 1) fail(Errc::format, path, "is truncated or damaged: it has no pixels");
  if (width > 100'000 || height > 100'000) fail(Errc::format, path, "is too large a picture");
  if (width * height > max_image_pixels)
    fail(Errc::format, path, "is ", width, " x ", height, " pixels, more than the ", max_image_pixels / 1000000, " megapixels accepted");
}

void refuse_format(const std::string& path, const char* format, const char* library) {
  fail(Errc::unsupported, path, "is a ", format, " picture, which this program cannot read: it was built without ", library,
       "; save it as PNG or JPEG");
}

}  // namespace g2s
