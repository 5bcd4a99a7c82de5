// JPEG files are read by libjpeg: as browsers and Pillow do, four inks and files without their end included.
#include "engine/picture_files.h"

#ifdef G2S_WITH_JPEG

#include <stdio.h>  // NOLINT: jpeglib.h needs FILE and size_t first

#include <jpeglib.h>

#include <jerror.h>

#include <csetjmp>
#include <cstdlib>
#include <vector>

#include "engine/exif.h"

namespace g2s {
namespace {

struct Failure {
  jpeg_error_mgr manager;  // first: libjpeg hands it back
  jmp_buf leave;
  char message[JMSG_LENGTH_MAX] = {};
  bool ended = false, cut = false, damaged = false;  // the file ended early; within the numbers; they do not fit together

  static void on_error(j_common_ptr common) {
    Failure& self = *reinterpret_cast<Failure*>(common->err);
    self.manager.format_message(common, self.message);
    longjmp(self.leave, 1);
  }
  static void on_message(j_common_ptr common, int level) {
    if (level >= 0) return;
    Failure& self = *reinterpret_cast<Failure*>(common->err);
    switch (self.manager.msg_code) {
      case JWRN_JPEG_EOF: self.ended = true; break;
      case JWRN_HIT_MARKER: self.cut = true; break;
      case JWRN_EXTRANEOUS_DATA:  // bytes between the parts
      case JWRN_ADOBE_XFORM:
      case JWRN_JFIF_MAJOR:
      case JWRN_TOO_MUCH_DATA: break;
      default: self.damaged = true; self.manager.format_message(common, self.message);
    }
  }
  static void on_output(j_common_ptr) {}
};

// Its functions hold nothing that would need a destructor, because libjpeg leaves by longjmp.
struct Reader {
  jpeg_decompress_struct jpeg{};
  Failure failure;

  Reader() {
    jpeg.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = Failure::on_error;
    failure.manager.emit_message = Failure::on_message;
    failure.manager.output_message = Failure::on_output;
  }
  ~Reader() { jpeg_destroy_decompress(&jpeg); }
  Reader(const Reader&) = delete;

  bool read_header(std::string_view content) {
    if (setjmp(failure.leave)) return false;
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(content.data()), content.size());
    jpeg_save_markers(&jpeg, JPEG_APP0 + 2, 0xffff);
    jpeg_read_header(&jpeg, TRUE);
    jpeg.out_color_space = jpeg.num_components == 1 ? JCS_GRAYSCALE : jpeg.num_components == 4 ? JCS_CMYK : JCS_RGB;
    return true;
  }

  // A block that is only zeros and a few bits of garbage is what libjpeg makes of a file that ends before its numbers do.
  bool read_rows(unsigned char* to, std::size_t row) {
    if (setjmp(failure.leave)) return false;
    jpeg_start_decompress(&jpeg);
    while (jpeg.output_scanline < jpeg.output_height) {
      JSAMPROW line = to + jpeg.output_scanline * row;
      jpeg_read_scanlines(&jpeg, &line, 1);
    }
    if (failure.ended && jpeg.progressive_mode) failure.cut = failure.cut || !complete();
    jpeg_finish_decompress(&jpeg);
    return true;
  }

  // Whether a progressive file's scans have told every number to its last bit.
  bool complete() const {
    if (!jpeg.coef_bits) return true;
    for (int c = 0; c < jpeg.num_components; ++c)
      for (int i = 0; i < DCTSIZE2; ++i)
        if (jpeg.coef_bits[c][i] != 0) return false;
    return true;
  }

  bool read_profile(JOCTET** data, unsigned* length) {
    if (setjmp(failure.leave)) return false;
    return jpeg_read_icc_profile(&jpeg, data, length) != 0;
  }

  [[noreturn]] void refuse(const std::string& path) const {
    if (failure.ended || failure.cut) fail(Errc::format, path, "is truncated");
    fail(Errc::format, path, "is truncated or damaged (", failure.message, ")");
  }
};

std::string profile_of(Reader& r) {
  JOCTET* data = nullptr;
  unsigned length = 0;
  std::string out;
  if (r.read_profile(&data, &length)) out.assign(reinterpret_cast<const char*>(data), length);
  std::free(data);
  return out;
}

// Adobe's programs write how much ink is not there, and everybody takes all files for theirs.
void turn_inks_over(Tensor& inks) {
  std::uint8_t* p = inks.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < inks.numel(); ++i) p[i] = static_cast<std::uint8_t>(255 - p[i]);
}

}  // namespace

RawImage read_jpeg(const std::string& path, std::string_view content, bool pixels) {
  Reader r;
  if (!r.read_header(content)) r.refuse(path);
  RawImage out;
  out.info = {r.jpeg.image_width, r.jpeg.image_height};
  require_picture_size(path, out.info.width, out.info.height);
  const int stored = r.jpeg.num_components;
  if (stored != 1 && stored != 3 && stored != 4)
    fail(Errc::unsupported, path, "is a JPEG of ", stored, " components; 1, 3 and 4 can be read");
  out.info.channels = stored == 1 ? 1 : 3;
  out.info.orientation = exif_orientation(content);
  if (!pixels) return out;
  out.profile = profile_of(r);  // while its parts are kept
  out.pixels = Tensor::empty({1, out.info.height, out.info.width, stored}, DType::u8, Device{});
  const auto row = static_cast<std::size_t>(out.info.width * stored);
  if (!r.read_rows(static_cast<unsigned char*>(out.pixels.mutable_raw()), row) || r.failure.cut) r.refuse(path);
  if (r.failure.damaged) fail(Errc::format, path, "is damaged (", r.failure.message, ")");
  if (stored < 4) return out;
  turn_inks_over(out.pixels);
  out.pixels = rgb_of_cmyk(out.pixels, out.profile);
  out.profile.clear();
  return out;
}

}  // namespace g2s

#else

namespace g2s {
namespace {

// stb_image takes four inks without Adobe's marker for other colours.
bool four_inks_unmarked(std::string_view jpeg) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(jpeg[i]); };
  bool marked = false;
  for (std::size_t at = 2; at + 10 < jpeg.size() && byte(at) == 0xff;) {
    const int marker = byte(at + 1);
    marked = marked || (marker == 0xee && jpeg.substr(at + 4, 5) == "Adobe");
    const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame) return byte(at + 9) == 4 && !marked;
    at += 2u + (byte(at + 2) << 8 | byte(at + 3));
  }
  return false;
}

}  // namespace

RawImage read_jpeg(const std::string& path, std::string_view content, bool pixels) {
  if (four_inks_unmarked(content)) refuse_format(path, "JPEG of four inks without Adobe's marker:", "libjpeg");
  return read_by_stb(path, content, pixels);
}
}  // namespace g2s

#endif
