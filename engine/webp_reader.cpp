#include "engine/picture_files.h"

#ifdef G2S_WITH_WEBP

#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "engine/exif.h"

namespace g2s {
namespace {

struct DemuxDeleter {
  void operator()(WebPDemuxer* d) const { WebPDemuxDelete(d); }
};
struct AnimationDeleter {
  void operator()(WebPAnimDecoder* d) const { WebPAnimDecoderDelete(d); }
};

std::string chunk(const WebPDemuxer* demuxer, const char* name) {
  WebPChunkIterator it;
  std::string out;
  if (WebPDemuxGetChunk(demuxer, name, 1, &it)) {
    out.assign(reinterpret_cast<const char*>(it.chunk.bytes), it.chunk.size);
    WebPDemuxReleaseChunkIterator(&it);
  }
  return out;
}

// Of several pictures the first.
bool first_frame(const WebPData& data, Tensor& rgba) {
  WebPAnimDecoderOptions options;
  if (!WebPAnimDecoderOptionsInit(&options)) return false;
  options.color_mode = MODE_RGBA;
  const std::unique_ptr<WebPAnimDecoder, AnimationDeleter> decoder(WebPAnimDecoderNew(&data, &options));
  std::uint8_t* pixels = nullptr;
  int time = 0;
  if (!decoder || !WebPAnimDecoderGetNext(decoder.get(), &pixels, &time)) return false;
  std::copy(pixels, pixels + rgba.numel(), rgba.mutable_data<std::uint8_t>());
  return true;
}

}  // namespace

RawImage read_webp(const std::string& path, std::string_view content, bool pixels) {
  const WebPData data{reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(data.bytes, data.size, &features) != VP8_STATUS_OK)
    fail(Errc::format, path, "is truncated or damaged: it has no WebP picture");
  RawImage out;
  out.info = {features.width, features.height, features.has_alpha || features.has_animation ? 4 : 3};
  require_picture_size(path, out.info.width, out.info.height);
  const std::unique_ptr<WebPDemuxer, DemuxDeleter> demuxer(WebPDemux(&data));
  if (!demuxer) fail(Errc::format, path, "is truncated");
  out.info.orientation = exif_orientation_of_block(chunk(demuxer.get(), "EXIF"));
  if (!pixels) return out;
  out.profile = chunk(demuxer.get(), "ICCP");
  const std::int64_t h = out.info.height, w = out.info.width, c = out.info.channels;
  if (features.has_animation) {
    out.pixels = Tensor::empty({1, h, w, 4}, DType::u8, Device{});
    if (!first_frame(data, out.pixels)) fail(Errc::format, path, "is truncated or damaged");
    return out;
  }
  out.pixels = Tensor::empty({1, h, w, c}, DType::u8, Device{});
  auto* to = out.pixels.mutable_data<std::uint8_t>();
  const auto size = static_cast<std::size_t>(out.pixels.numel());
  const int row = static_cast<int>(w * c);
  if (!(c == 4 ? WebPDecodeRGBAInto(data.bytes, data.size, to, size, row) : WebPDecodeRGBInto(data.bytes, data.size, to, size, row)))
    fail(Errc::format, path, "is truncated or damaged");
  return out;
}

}  // namespace g2s

#else

namespace g2s {
RawImage read_webp(const std::string& path, std::string_view, bool) { refuse_format(path, "WebP", "libwebp"); }
}  // namespace g2s

#endif
