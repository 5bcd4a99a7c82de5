#include <doctest/doctest.h>

#include "engine/image.h"
#include "kernels/shape/shape.h"
#include "tests/support/c_interface.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// A copy of what a file holds.
Tensor read(const std::string& path) {
  g2s_tensor tensor = nullptr;
  g2s_array view;
  REQUIRE_OK(g2s_picture_read(path.c_str(), &tensor));
  REQUIRE_OK(g2s_tensor_view(tensor, &view));
  REQUIRE(view.dtype == G2S_U8);
  const auto* bytes = static_cast<const std::uint8_t*>(view.data);
  const Shape shape = {view.shape[0], view.shape[1], view.shape[2]};
  Tensor out = Tensor::from(std::vector<std::uint8_t>(bytes, bytes + shape.numel()), shape);
  CHECK_OK(g2s_tensor_free(tensor));
  return out;
}

}  // namespace

TEST_CASE("C interface: pictures are read as in C++, upright and with their transparency") {
  for (const char* name : {"rgb.png", "rgb.jpg", "rgb.gif", "rgb.ppm", "exif6.jpg", "grey16.png", "palette.png", "rgba.png"}) {
    CAPTURE(std::string(name));
    const Image image = read_image(source_path(str("tests/images/", name)));
    const Tensor want = image.alpha ? concat({image.rgb, image.alpha}, 3) : image.rgb, got = read(source_path(str("tests/images/", name)));
    CHECK(same_bits(got, want.reshape({image.height(), image.width(), want.dim(3)})));
  }
  CHECK(read(source_path("tests/images/rgba.png")).dim(2) == 4);
}

TEST_CASE("C interface: pictures are written, and read back") {
  const TemporaryFolder folder;
  const std::string path = folder / "picture.png";
  const Tensor image = hashed_input("capi/picture", {1, 5, 7, 3}), bytes = image_to_pixels(image).reshape({5, 7, 3});
  for (const Tensor& picture : {image, image.reshape({5, 7, 3}), bytes, bytes.reshape({1, 5, 7, 3})}) {
    const g2s_array a = array_of(picture);
    CHECK_OK(g2s_picture_write(path.c_str(), &a));
    CHECK(same_bits(read(path), bytes));
  }
  g2s_array mirrored = array_of(bytes);
  mirrored.data = static_cast<std::uint8_t*>(mirrored.data) + 18;
  mirrored.strides[1] = -3;
  CHECK_OK(g2s_picture_write(path.c_str(), &mirrored));
  const Tensor back = read(path);
  for (std::int64_t i = 0; i < 35; ++i) CHECK(back.data<std::uint8_t>()[3 * i] == bytes.data<std::uint8_t>()[3 * (i / 7 * 7 + 6 - i % 7)]);
  const Tensor four = image_to_pixels(hashed_input("capi/picture", {2, 2, 4}));
  const g2s_array a = array_of(four);
  CHECK_OK(g2s_picture_write(path.c_str(), &a));
  CHECK(same_bits(read(path), four));
}

TEST_CASE("C interface: what is no picture is refused, by name") {
  const TemporaryFolder folder;
  g2s_tensor tensor = nullptr;
  const std::string absent = folder / "absent.png", text = source_path("README.md");
  CHECK(g2s_picture_read(absent.c_str(), &tensor) == G2S_IO);
  CHECK(std::string(g2s_last_error()).rfind(absent, 0) == 0);
  CHECK(g2s_picture_read(text.c_str(), &tensor) == G2S_FORMAT);
  CHECK(std::string(g2s_last_error()).rfind(text, 0) == 0);
  check_fails(g2s_picture_read(nullptr, &tensor), G2S_INVALID_ARGUMENT, "path: is null");
  check_fails(g2s_picture_read(text.c_str(), nullptr), G2S_INVALID_ARGUMENT, "picture: is null");
  const Tensor two = Tensor::zeros({3, 3, 2}), many = Tensor::zeros({2, 3, 3, 3}), good = Tensor::zeros({3, 3, 3});
  const g2s_array a = array_of(two), b = array_of(many), c = array_of(good);
  const std::string path = folder / "x.png", nowhere = folder / "no/x.png";
  check_fails(g2s_picture_write(path.c_str(), &a), G2S_SHAPE_MISMATCH,
              "picture: is [3,3,2], expected [H,W,C] or [1,H,W,C] with 1, 3 or 4 channels");
  check_fails(g2s_picture_write(path.c_str(), &b), G2S_SHAPE_MISMATCH,
              "picture: is [2,3,3,3], expected [H,W,C] or [1,H,W,C] with 1, 3 or 4 channels");
  check_fails(g2s_picture_write(nullptr, &c), G2S_INVALID_ARGUMENT, "path: is null");
  check_fails(g2s_picture_write(path.c_str(), nullptr), G2S_INVALID_ARGUMENT, "picture: is null");
  CHECK(g2s_picture_write(nowhere.c_str(), &c) == G2S_IO);
  CHECK(std::string(g2s_last_error()).rfind(nowhere, 0) == 0);
}
