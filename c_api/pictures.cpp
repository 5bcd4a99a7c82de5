// Pictures in files.
#include "c_api/arrays.h"
#include "c_api/call.h"
#include "c_api/objects.h"
#include "engine/image.h"
#include "engine/thread_state.h"

namespace g2s::capi {
namespace {

Tensor with_alpha(const Tensor& rgb, const Tensor& alpha) {
  Tensor out = Tensor::empty({rgb.dim(1), rgb.dim(2), 4}, DType::u8, Device{});
  const std::uint8_t *c = rgb.data<std::uint8_t>(), *a = alpha.data<std::uint8_t>();
  std::uint8_t* y = out.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < alpha.numel(); ++i) {
    for (int k = 0; k < 3; ++k) y[4 * i + k] = c[3 * i + k];
    y[4 * i + 3] = a[i];
  }
  return out;
}

Tensor read_picture(const char* path) {
  const Image image = read_image(&required(path, "path"));
  if (image.alpha) return with_alpha(image.rgb, image.alpha);
  return image.rgb.reshape({image.height(), image.width(), 3});
}

void write_picture(const char* path, const g2s_array* array) {
  required(path, "path");
  Array picture = Array::readable(array, "picture", Content::image);
  picture.without_batch();
  const bool fits = picture.rank() == 3 && (picture.dim(2) == 1 || picture.dim(2) == 3 || picture.dim(2) == 4) && !picture.empty();
  picture.require(fits, "[H,W,C] or [1,H,W,C] with 1, 3 or 4 channels");
  write_png(path, picture.dtype() == DType::u8 ? picture.read_as_it_is() : image_to_pixels(picture.read()));
}

}  // namespace
}  // namespace g2s::capi

using namespace g2s::capi;

g2s_status g2s_picture_read(const char* path, g2s_tensor* picture) {
  return call([&] {
    g2s_tensor& out = output(picture, "picture");
    const g2s::FreshThread fresh;
    out = give_tensor(read_picture(path));
  });
}

g2s_status g2s_picture_write(const char* path, const g2s_array* picture) {
  return call([&] {
    const g2s::FreshThread fresh;
    write_picture(path, picture);
  });
}
