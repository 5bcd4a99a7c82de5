// Colours of other spaces as sRGB.
#include <algorithm>
#include <vector>

#ifdef G2S_WITH_LCMS
#include <lcms2.h>

#include <memory>
#endif

#include "engine/picture_files.h"

namespace g2s {
namespace {

// What is left of white after two inks; as Pillow computes it.
std::uint8_t without(int ink, int left) {
  const int product = ink * left + 128;
  return static_cast<std::uint8_t>(std::clamp(left - ((product >> 8) + product) / 256, 0, 255));
}

Tensor plain_rgb(const Tensor& inks) {
  const std::int64_t pixels = inks.dim(1) * inks.dim(2);
  Tensor out = Tensor::empty({1, inks.dim(1), inks.dim(2), 3}, DType::u8, Device{});
  const std::uint8_t* from = inks.data<std::uint8_t>();
  std::uint8_t* to = out.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < pixels; ++i)
    for (std::int64_t c = 0; c < 3; ++c) to[i * 3 + c] = without(from[i * 4 + c], 255 - from[i * 4 + 3]);
  return out;
}

#ifdef G2S_WITH_LCMS

struct Closer {
  void operator()(void* profile) const { cmsCloseProfile(profile); }
};
struct TransformCloser {
  void operator()(void* transform) const { cmsDeleteTransform(transform); }
};
using Profile = std::unique_ptr<void, Closer>;
using Transform = std::unique_ptr<void, TransformCloser>;

bool is_srgb(cmsHPROFILE profile) {
  char name[256] = {};
  cmsGetProfileInfoASCII(profile, cmsInfoDescription, "en", "US", name, sizeof name);
  return std::string_view(name).find("sRGB") != std::string_view::npos;
}

// Null where there is nothing to be changed, or the profile is not one of `space`.
Transform to_srgb_from(const std::string& bytes, cmsColorSpaceSignature space, cmsUInt32Number from, cmsUInt32Number to) {
  const Profile profile(bytes.empty() ? nullptr : cmsOpenProfileFromMem(bytes.data(), static_cast<cmsUInt32Number>(bytes.size())));
  if (!profile || cmsGetColorSpace(profile.get()) != space || is_srgb(profile.get())) return nullptr;
  const Profile srgb(cmsCreate_sRGBProfile());
  return Transform(srgb ? cmsCreateTransform(profile.get(), from, srgb.get(), to, INTENT_PERCEPTUAL, 0) : nullptr);
}

template <class T> void convert(RawImage& image, const Transform& transform, auto* data) {
  const std::int64_t pixels = image.pixels.dim(1) * image.pixels.dim(2), c = image.pixels.dim(3), colours = image.info.grey() ? 1 : 3;
  constexpr std::int64_t step = 4096;
  std::vector<T> in(static_cast<std::size_t>(step * colours)), out(static_cast<std::size_t>(step * 3));
  for (std::int64_t begin = 0; begin < pixels; begin += step) {
    const std::int64_t n = std::min(step, pixels - begin);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t k = 0; k < colours; ++k) in[static_cast<std::size_t>(i * colours + k)] = static_cast<T>(data[(begin + i) * c + k]);
    cmsDoTransform(transform.get(), in.data(), out.data(), static_cast<cmsUInt32Number>(n));
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t k = 0; k < colours; ++k) data[(begin + i) * c + k] = out[static_cast<std::size_t>(i * 3 + (colours == 1 ? 1 : k))];
  }
}

#endif

}  // namespace

#ifdef G2S_WITH_LCMS

Tensor rgb_of_cmyk(const Tensor& inks, const std::string& profile) {
  const Transform transform = to_srgb_from(profile, cmsSigCmykData, TYPE_CMYK_8, TYPE_RGB_8);
  if (!transform) return plain_rgb(inks);
  Tensor out = Tensor::empty({1, inks.dim(1), inks.dim(2), 3}, DType::u8, Device{});
  cmsDoTransform(transform.get(), inks.raw(), out.mutable_raw(), static_cast<cmsUInt32Number>(inks.dim(1) * inks.dim(2)));
  return out;
}

void to_srgb(RawImage& image) {
  const bool grey = image.info.grey(), wide = image.pixels.dtype() == DType::i32;
  const cmsUInt32Number from = grey ? (wide ? TYPE_GRAY_16 : TYPE_GRAY_8) : (wide ? TYPE_RGB_16 : TYPE_RGB_8),
                        to = wide ? TYPE_RGB_16 : TYPE_RGB_8;
  const Transform transform = to_srgb_from(image.profile, grey ? cmsSigGrayData : cmsSigRgbData, from, to);
  if (!transform) return;
  if (wide) convert<std::uint16_t>(image, transform, image.pixels.mutable_data<std::int32_t>());
  else convert<std::uint8_t>(image, transform, image.pixels.mutable_data<std::uint8_t>());
}

#else

Tensor rgb_of_cmyk(const Tensor& inks, const std::string&) { return plain_rgb(inks); }
void to_srgb(RawImage&) {}

#endif

}  // namespace g2s
