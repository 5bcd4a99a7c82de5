#include "engine/picture_files.h"

#ifdef G2S_WITH_TIFF

#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace g2s {
namespace {

struct Source {
  std::string_view content;
  std::uint64_t at = 0;
  std::string error;

  static tmsize_t read(thandle_t self, void* to, tmsize_t size) {
    Source& s = *static_cast<Source*>(self);
    const std::uint64_t left = s.at < s.content.size() ? s.content.size() - s.at : 0, n = std::min(left, static_cast<std::uint64_t>(size));
    if (n > 0) std::memcpy(to, s.content.data() + s.at, n);
    s.at += n;
    return static_cast<tmsize_t>(n);
  }
  static tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }
  static toff_t seek(thandle_t self, toff_t to, int from) {
    Source& s = *static_cast<Source*>(self);
    s.at = from == SEEK_SET ? to : from == SEEK_CUR ? s.at + to : s.content.size() + to;
    return s.at;
  }
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t self) { return static_cast<Source*>(self)->content.size(); }
  static int on_error(TIFF*, void* self, const char*, const char* format, va_list values) {
    Source& s = *static_cast<Source*>(self);
    char text[160];
    std::vsnprintf(text, sizeof text, format, values);
    if (s.error.empty()) s.error = text;
    return 1;
  }
  static int on_warning(TIFF*, void*, const char*, const char*, va_list) { return 1; }
};

struct Closer {
  void operator()(TIFF* t) const { TIFFClose(t); }
};
using Tiff = std::unique_ptr<TIFF, Closer>;

Tiff open(Source& source) {
  TIFFOpenOptions* options = TIFFOpenOptionsAlloc();
  if (!options) return nullptr;
  TIFFOpenOptionsSetMaxSingleMemAlloc(options, tmsize_t{512} << 20);
  TIFFOpenOptionsSetErrorHandlerExtR(options, Source::on_error, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options, Source::on_warning, &source);
  // "m": no mapping, the file is in memory.
  TIFF* tiff = TIFFClientOpenExt("picture", "rm", &source, Source::read, Source::write, Source::seek, Source::close, Source::size, nullptr,
                                 nullptr, options);
  TIFFOpenOptionsFree(options);
  return Tiff(tiff);
}

std::uint16_t tag(TIFF* t, std::uint32_t name, std::uint16_t otherwise) {
  std::uint16_t value = 0;
  return TIFFGetFieldDefaulted(t, name, &value) ? value : otherwise;
}

// What of a file decides how it is read.
struct Form {
  std::uint16_t bits, samples, photometric, planar, format, orientation, extra_count = 0, extra = EXTRASAMPLE_UNSPECIFIED;
  bool tiled;

  explicit Form(TIFF* t)
      : bits(tag(t, TIFFTAG_BITSPERSAMPLE, 1)),
        samples(tag(t, TIFFTAG_SAMPLESPERPIXEL, 1)),
        photometric(tag(t, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK)),
        planar(tag(t, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG)),
        format(tag(t, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT)),
        orientation(tag(t, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT)),
        tiled(TIFFIsTiled(t) != 0) {
    std::uint16_t* kinds = nullptr;
    if (TIFFGetFieldDefaulted(t, TIFFTAG_EXTRASAMPLES, &extra_count, &kinds) && extra_count > 0) extra = kinds[0];
  }

  int colours() const { return photometric == PHOTOMETRIC_RGB ? 3 : photometric == PHOTOMETRIC_SEPARATED ? 4 : 1; }
  bool grey() const { return photometric == PHOTOMETRIC_MINISBLACK || photometric == PHOTOMETRIC_MINISWHITE; }
  // Whole numbers one after another, which need no help. The rest is drawn by libtiff, in 8 bits.
  bool plain() const {
    const bool known = grey() || photometric == PHOTOMETRIC_RGB || (photometric == PHOTOMETRIC_SEPARATED && bits == 8);
    return known && (bits == 8 || bits == 16) && planar == PLANARCONFIG_CONTIG && format == SAMPLEFORMAT_UINT && !tiled &&
           samples >= colours() && samples <= colours() + 1 && samples <= 4;
  }
  bool has_alpha() const { return extra_count > 0 && samples > colours() && extra != EXTRASAMPLE_UNSPECIFIED; }
};

[[noreturn]] void refuse(const std::string& path, const Source& source) {
  const bool cannot = source.error.find("can not handle") != std::string::npos ||
                      source.error.find("not configured") != std::string::npos || source.error.find("not implemented") != std::string::npos;
  fail(cannot ? Errc::unsupported : Errc::format, path, cannot ? "is a TIFF that cannot be read" : "is truncated or damaged",
       source.error.empty() ? "" : " (" + source.error + ")");
}

template <class T> void unmultiply(T* p, std::int64_t pixels, std::int64_t channels, std::int64_t top) {
  for (std::int64_t i = 0; i < pixels; ++i, p += channels)
    for (std::int64_t c = 0; c + 1 < channels; ++c)
      if (const std::int64_t a = p[channels - 1]; a > 0) p[c] = static_cast<T>(std::min(top, top * static_cast<std::int64_t>(p[c]) / a));
}

// The samples of every pixel as they are stored: u8, or i32 of 16 bits.
Tensor samples_of(TIFF* t, const Form& form, const std::string& path, const Source& source, std::int64_t h, std::int64_t w) {
  const std::int64_t n = w * form.samples;
  if (TIFFScanlineSize64(t) != static_cast<std::uint64_t>(n * (form.bits / 8)))
    fail(Errc::format, path, "is damaged: its rows have another length than it says");
  const bool wide = form.bits == 16;
  Tensor out = Tensor::empty({1, h, w, form.samples}, wide ? DType::i32 : DType::u8, Device{});
  std::vector<std::uint16_t> row(static_cast<std::size_t>(n));
  for (std::int64_t y = 0; y < h; ++y) {
    void* to = wide ? static_cast<void*>(row.data()) : out.mutable_data<std::uint8_t>() + y * n;
    if (TIFFReadScanline(t, to, static_cast<std::uint32_t>(y), 0) < 0) refuse(path, source);
    if (wide) std::copy(row.begin(), row.end(), out.mutable_data<std::int32_t>() + y * n);
  }
  if (form.photometric == PHOTOMETRIC_MINISWHITE) {
    for (std::int64_t i = 0; i < out.numel(); i += form.samples) {
      if (wide) out.mutable_data<std::int32_t>()[i] = 65535 - out.data<std::int32_t>()[i];
      else out.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>(255 - out.data<std::uint8_t>()[i]);
    }
  }
  return out;
}

// Without the samples behind the colours, which are no transparency.
template <class T> Tensor colours_alone(const Tensor& x, std::int64_t colours) {
  const std::int64_t pixels = x.dim(1) * x.dim(2), c = x.dim(3);
  Tensor out = Tensor::empty({1, x.dim(1), x.dim(2), colours}, x.dtype(), Device{});
  for (std::int64_t i = 0; i < pixels; ++i) std::copy_n(x.data<T>() + i * c, colours, out.mutable_data<T>() + i * colours);
  return out;
}

void read_plain(TIFF* t, const Form& form, const std::string& path, const Source& source, RawImage& out) {
  out.pixels = samples_of(t, form, path, source, out.info.height, out.info.width);
  const std::int64_t pixels = out.info.height * out.info.width;
  if (form.photometric == PHOTOMETRIC_SEPARATED) {
    out.pixels = rgb_of_cmyk(out.pixels, out.profile);
    out.profile.clear();
  } else if (form.samples > form.colours() && !form.has_alpha()) {
    out.pixels = out.pixels.dtype() == DType::u8 ? colours_alone<std::uint8_t>(out.pixels, form.colours())
                                                 : colours_alone<std::int32_t>(out.pixels, form.colours());
  } else if (form.has_alpha() && form.extra == EXTRASAMPLE_ASSOCALPHA) {
    if (out.pixels.dtype() == DType::u8) unmultiply(out.pixels.mutable_data<std::uint8_t>(), pixels, form.samples, 255);
    else unmultiply(out.pixels.mutable_data<std::int32_t>(), pixels, form.samples, 65535);
  }
}

void read_drawn(TIFF* t, const Form& form, const std::string& path, const Source& source, RawImage& out) {
  const std::int64_t pixels = out.info.height * out.info.width, c = out.info.channels;
  std::vector<std::uint32_t> raster(static_cast<std::size_t>(pixels));
  const auto w = static_cast<std::uint32_t>(out.info.width), h = static_cast<std::uint32_t>(out.info.height);
  if (!TIFFReadRGBAImageOriented(t, w, h, raster.data(), form.orientation, 1)) refuse(path, source);
  out.pixels = Tensor::empty({1, out.info.height, out.info.width, c}, DType::u8, Device{});
  std::uint8_t* to = out.pixels.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < pixels; ++i)
    for (std::int64_t k = 0; k < c; ++k) to[i * c + k] = static_cast<std::uint8_t>(raster[static_cast<std::size_t>(i)] >> (8 * k));
  if (c == 4) unmultiply(to, pixels, c, 255);
}

}  // namespace

RawImage read_tiff(const std::string& path, std::string_view content, bool pixels) {
  Source source{content, 0, {}};
  const Tiff tiff = open(source);
  if (!tiff) refuse(path, source);
  std::uint32_t w = 0, h = 0;
  if (!TIFFGetField(tiff.get(), TIFFTAG_IMAGEWIDTH, &w) || !TIFFGetField(tiff.get(), TIFFTAG_IMAGELENGTH, &h)) refuse(path, source);
  require_picture_size(path, w, h);
  const Form form(tiff.get());
  const int colours = form.plain() && form.grey() ? 1 : 3;
  RawImage out;
  out.info = {w, h, colours + (form.has_alpha() && form.photometric != PHOTOMETRIC_SEPARATED ? 1 : 0), form.plain() ? form.bits : 8};
  out.info.orientation = form.orientation >= 1 && form.orientation <= 8 ? form.orientation : 1;
  if (!form.plain() && out.info.channels == 2) out.info.channels = 4;
  if (!pixels) return out;
  std::uint32_t length = 0;
  void* profile = nullptr;
  if (TIFFGetField(tiff.get(), TIFFTAG_ICCPROFILE, &length, &profile)) out.profile.assign(static_cast<const char*>(profile), length);
  if (form.plain()) read_plain(tiff.get(), form, path, source, out);
  else read_drawn(tiff.get(), form, path, source, out);
  return out;
}

}  // namespace g2s

#else

namespace g2s {
RawImage read_tiff(const std::string& path, std::string_view, bool) { refuse_format(path, "TIFF", "libtiff 4.5"); }
}  // namespace g2s

#endif
