// PNG files are written by libpng, because stb cannot write 16 bits.
#include <png.h>

#include <csetjmp>
#include <vector>

#include "engine/image.h"

namespace g2s {
namespace {

struct Sink {
  std::string bytes;
  std::string error;
  bool full = false;
};

void append(png_structp png, png_bytep data, png_size_t size) {
  Sink& sink = *static_cast<Sink*>(png_get_io_ptr(png));
  try {
    sink.bytes.append(reinterpret_cast<const char*>(data), size);
  } catch (const std::exception&) {
    sink.full = true;  // no exception may pass through C code
  }
  if (sink.full) png_error(png, "out of memory");
}

void on_error(png_structp png, png_const_charp message) {
  static_cast<Sink*>(png_get_error_ptr(png))->error = message;
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

struct Raster {
  png_uint_32 width, height;
  int bit_depth, colour;
  std::vector<png_bytep> rows;
};

// Holds nothing that would need a destructor, because libpng leaves by longjmp.
bool encode(const Raster& raster, Sink& sink) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &sink, on_error, on_warning);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  if (!info) {
    png_destroy_write_struct(&png, nullptr);
    return false;
  }
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_write_struct(&png, &info);
    return false;
  }
  png_set_write_fn(png, &sink, append, nullptr);
  png_set_IHDR(png, info, raster.width, raster.height, raster.bit_depth, raster.colour, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  png_write_image(png, const_cast<png_bytepp>(raster.rows.data()));
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return true;
}

}  // namespace

std::string encode_png(const Tensor& pixels) {
  const int r = pixels.rank();
  check(r == 3 || (r == 4 && pixels.dim(0) == 1), "encode_png", "one picture [H,W,C] wanted, got ", describe(pixels));
  const std::int64_t h = pixels.dim(-3), w = pixels.dim(-2), c = pixels.dim(-1);
  const bool wide = pixels.dtype() == DType::i32;
  check(wide || pixels.dtype() == DType::u8, "encode_png", "u8 or i32 wanted, got ", describe(pixels));
  check(h > 0 && w > 0 && (c == 1 || c == 3 || (c == 4 && !wide)), "encode_png", "cannot hold ", describe(pixels));
  const std::size_t row_bytes = static_cast<std::size_t>(w * c) * (wide ? 2 : 1);
  std::vector<png_byte> bytes(row_bytes * static_cast<std::size_t>(h));
  if (wide) {
    const std::int32_t* x = pixels.data<std::int32_t>();
    for (std::int64_t i = 0; i < pixels.numel(); ++i) {
      if (x[i] < 0 || x[i] > 65535) fail(Errc::invalid_argument, "encode_png", "value ", x[i], " does not fit into 16 bits");
      bytes[static_cast<std::size_t>(2 * i)] = static_cast<png_byte>(x[i] >> 8);
      bytes[static_cast<std::size_t>(2 * i + 1)] = static_cast<png_byte>(x[i] & 255);
    }
  } else {
    std::copy_n(pixels.data<std::uint8_t>(), pixels.numel(), bytes.begin());
  }
  Raster raster{static_cast<png_uint_32>(w), static_cast<png_uint_32>(h), wide ? 16 : 8,
                c == 1 ? PNG_COLOR_TYPE_GRAY : c == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_RGB_ALPHA, {}};
  for (std::int64_t i = 0; i < h; ++i) raster.rows.push_back(bytes.data() + static_cast<std::size_t>(i) * row_bytes);
  Sink sink;
  if (!encode(raster, sink)) {
    fail(sink.full ? Errc::out_of_memory : Errc::internal, "encode_png", sink.error.empty() ? "libpng could not start" : sink.error);
  }
  return std::move(sink.bytes);
}

}  // namespace g2s
