// HEIC, as phones give it, and AVIF. libheif turns pictures upright itself.
#include "engine/picture_files.h"

#ifdef G2S_WITH_HEIF

#include <libheif/heif.h>

#include <cstring>
#include <memory>

namespace g2s {
namespace {

struct Deleter {
  void operator()(heif_context* c) const { heif_context_free(c); }
  void operator()(heif_image_handle* h) const { heif_image_handle_release(h); }
  void operator()(heif_image* i) const { heif_image_release(i); }
};

void require(const std::string& path, const heif_error& error) {
  if (error.code == heif_error_Ok) return;
  const bool codec = error.code == heif_error_Unsupported_filetype || error.code == heif_error_Unsupported_feature;
  fail(codec ? Errc::unsupported : Errc::format, path, codec ? "cannot be read by the libheif that is here (" : "is truncated or damaged (",
       error.message, ")");
}

std::string profile_of(const heif_image_handle* handle) {
  const heif_color_profile_type type = heif_image_handle_get_color_profile_type(handle);
  if (type != heif_color_profile_type_rICC && type != heif_color_profile_type_prof) return {};
  std::string out(heif_image_handle_get_raw_color_profile_size(handle), '\0');
  if (heif_image_handle_get_raw_color_profile(handle, out.data()).code != heif_error_Ok) return {};
  return out;
}

}  // namespace

RawImage read_heif(const std::string& path, std::string_view content, bool pixels) {
  const std::unique_ptr<heif_context, Deleter> context(heif_context_alloc());
  require(path, heif_context_read_from_memory_without_copy(context.get(), content.data(), content.size(), nullptr));
  heif_image_handle* raw_handle = nullptr;
  require(path, heif_context_get_primary_image_handle(context.get(), &raw_handle));
  const std::unique_ptr<heif_image_handle, Deleter> handle(raw_handle);
  const bool alpha = heif_image_handle_has_alpha_channel(handle.get()) != 0;
  RawImage out;
  out.info = {heif_image_handle_get_width(handle.get()), heif_image_handle_get_height(handle.get()), alpha ? 4 : 3};
  require_picture_size(path, out.info.width, out.info.height);
  if (!pixels) return out;
  heif_image* raw_image = nullptr;
  require(path, heif_decode_image(handle.get(), &raw_image, heif_colorspace_RGB,
                                  alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, nullptr));
  const std::unique_ptr<heif_image, Deleter> image(raw_image);
  int stride = 0;
  const std::uint8_t* from = heif_image_get_plane_readonly(image.get(), heif_channel_interleaved, &stride);
  const std::int64_t h = heif_image_get_height(image.get(), heif_channel_interleaved),
                     w = heif_image_get_width(image.get(), heif_channel_interleaved);
  if (!from || h != out.info.height || w != out.info.width)
    fail(Errc::format, path, "is damaged: its picture has another size than it says");
  out.pixels = Tensor::empty({1, h, w, out.info.channels}, DType::u8, Device{});
  const auto row = static_cast<std::size_t>(w * out.info.channels);
  for (std::int64_t y = 0; y < h; ++y)
    std::memcpy(out.pixels.mutable_data<std::uint8_t>() + y * w * out.info.channels, from + y * stride, row);
  out.profile = profile_of(handle.get());
  return out;
}

}  // namespace g2s

#else

namespace g2s {
RawImage read_heif(const std::string& path, std::string_view content, bool) {
  refuse_format(path, to_string(picture_format(content)), "libheif");
}
}  // namespace g2s

#endif
