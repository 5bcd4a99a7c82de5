#include "models/gan2shape/input.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "engine/files.h"
#include "engine/npy.h"
#include "engine/safetensors.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

struct Folder {
  std::string path = temporary_name((std::filesystem::temp_directory_path() / "g2s_input").string());
  Folder() { make_folders(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

// 1 within the box, else 0.
Tensor box_mask(std::int64_t height, std::int64_t width, ImageBox box) {
  Tensor mask = Tensor::zeros({1, height, width, 1});
  for (std::int64_t y = box.top; y < box.top + box.height; ++y)
    for (std::int64_t x = box.left; x < box.left + box.width; ++x) mask.mutable_data<float>()[y * width + x] = 1;
  return mask;
}

Tensor mask_pixels(const Tensor& mask) {
  Tensor out = Tensor::empty(mask.shape(), DType::u8);
  for (std::int64_t i = 0; i < mask.numel(); ++i) out.mutable_data<std::uint8_t>()[i] = mask.data<float>()[i] > 0 ? 255 : 0;
  return out;
}

// Red is the column, green the row: where a pixel came from can be read from it.
Tensor ramp(std::int64_t height, std::int64_t width, std::int64_t channels = 3) {
  Tensor out = Tensor::zeros({1, height, width, channels}, DType::u8);
  for (std::int64_t y = 0; y < height; ++y)
    for (std::int64_t x = 0; x < width; ++x) {
      std::uint8_t* p = out.mutable_data<std::uint8_t>() + (y * width + x) * channels;
      p[0] = static_cast<std::uint8_t>(x), p[1] = static_cast<std::uint8_t>(y);
      if (channels == 4) p[3] = 255;
    }
  return out;
}

Tensor unwanted(const Tensor&) { throw std::logic_error("the mask was not to be searched for"); }

bool noted(const PreparedInput& input, const std::string& part) {
  return std::any_of(input.notes.begin(), input.notes.end(), [&](const std::string& n) { return n.find(part) != std::string::npos; });
}

}  // namespace

TEST_CASE("input: the square around an object has the margin of heads_gt") {
  // As high as the image, 0.8 of its width.
  CHECK(object_box(box_mask(200, 300, {100, 20, 80, 100})) == ImageBox{90, 20, 100, 100});
  CHECK(object_box(box_mask(200, 300, {100, 50, 120, 100})) == ImageBox{85, 25, 150, 150});
  // It stays within the image.
  CHECK(object_box(box_mask(200, 300, {0, 20, 40, 100})) == ImageBox{0, 20, 100, 100});
  CHECK(object_box(box_mask(200, 300, {250, 150, 50, 50})) == ImageBox{237, 137, 63, 63});
  // An object that is higher than the square loses its lower part.
  CHECK(object_box(box_mask(300, 100, {10, 40, 80, 200})) == ImageBox{0, 40, 100, 100});
  CHECK_THROWS_AS(object_box(Tensor::zeros({1, 10, 10, 1})), Error);
}

TEST_CASE("input: pixels in memory are prepared as those of a file are") {
  Folder folder;
  const Config config = preset("default");
  const Tensor object = box_mask(48, 64, {20, 10, 24, 30}), alpha = mask_pixels(object);
  const Tensor rgb = ramp(48, 64);
  Tensor rgba = ramp(48, 64, 4);
  for (std::int64_t i = 0; i < alpha.numel(); ++i) rgba.mutable_data<std::uint8_t>()[4 * i + 3] = alpha.data<std::uint8_t>()[i];
  write_png(folder / "rgba.png", rgba);
  write_png(folder / "rgb.png", rgb);
  write_png(folder / "mask.png", alpha);
  auto same = [&](const InputFiles& files, const InputPixels& pixels, const char* source) {
    const PreparedInput want = prepare_input(load_input(files), config, CropMode::automatic, unwanted);
    const PreparedInput got = prepare_input(load_input(pixels), config, CropMode::automatic, unwanted);
    for (auto part : {&PreparedInput::image, &PreparedInput::mask, &PreparedInput::photo}) CHECK(same_bits(got.*part, want.*part));
    CHECK(got.box == want.box);
    CHECK(got.notes == want.notes);
    CHECK(got.mask_source == source);
  };
  same({folder / "rgba.png", "", ""}, {rgb, alpha, {}}, "alpha");
  same({folder / "rgba.png", folder / "mask.png", ""}, {rgb, alpha, object}, "given");
  same({folder / "rgb.png", folder / "mask.png", ""}, {rgb, {}, object}, "given");

  auto refused = [](const InputPixels& pixels, const char* why) { CHECK_THROWS_WITH_AS(load_input(pixels), doctest::Contains(why), Error); };
  refused({ramp(31, 64), {}, {}}, "picture: the picture is 64 x 31 pixels, at least 32 x 32 are needed");
  refused({rgba, {}, {}}, "picture: must be u8 [1,H,W,3] on the CPU, is u8 [1,48,64,4]");
  refused({rgb, {}, alpha}, "mask: must be f32 [1,H,W,1] on the CPU");
  refused({rgb, {}, box_mask(48, 63, {})}, "mask: the mask is 63 x 48 pixels, but the picture is 64 x 48");
  refused({rgb, {}, box_mask(48, 64, {})}, "mask: it is empty");
  refused({rgb, Tensor::zeros({1, 48, 64, 1}, DType::u8), {}}, "picture: its alpha channel, which is the mask, is empty");
  refused({rgb, Tensor::zeros({1, 48, 60, 1}, DType::u8), {}}, "picture: the transparency is 60 x 48 pixels, but the picture is 64 x 48");
}

TEST_CASE("input: a square picture is only resized") {
  Folder folder;
  write_png(folder / "p.png", ramp(64, 64));
  write_png(folder / "m.png", mask_pixels(box_mask(64, 64, {20, 10, 30, 40})));
  const Config config = preset("default");
  PreparedInput in = prepare_input(load_input({folder / "p.png", folder / "m.png", ""}), config, CropMode::automatic, unwanted);
  CHECK(same_bits(in.image, pixels_to_image(ramp(64, 64))));
  CHECK(same_bits(in.mask, box_mask(64, 64, {20, 10, 30, 40})));
  CHECK(in.box == ImageBox{0, 0, 64, 64});
  CHECK(in.original_size == 0);
  CHECK(in.mask_source == "file");
  CHECK(in.notes.empty());
  CHECK_FALSE(in.truth);
  // Where the object is asked for, it is cut nevertheless.
  PreparedInput cut = prepare_input(load_input({folder / "p.png", folder / "m.png", ""}), config, CropMode::object, unwanted);
  CHECK(cut.box == ImageBox{15, 10, 40, 40});
  CHECK(cut.photo.shape() == Shape{1, 40, 40, 3});
}

TEST_CASE("input: other pictures are squared around the object, with mask and truth") {
  Folder folder;
  const Config config = preset("default");
  write_png(folder / "p.png", ramp(100, 200));
  write_png(folder / "m.png", mask_pixels(box_mask(100, 200, {110, 20, 50, 64})));
  Tensor truth = Tensor::zeros({100, 200, 1}, DType::i32);
  for (std::int64_t y = 20; y < 84; ++y)
    for (std::int64_t x = 110; x < 160; ++x) truth.mutable_data<std::int32_t>()[y * 200 + x] = static_cast<std::int32_t>(100 * x + y);
  write_png(folder / "p_depth.png", truth);
  PreparedInput in = prepare_input(load_input({folder / "p.png", folder / "m.png", folder / "p_depth.png"}), config, CropMode::automatic, unwanted);
  CHECK(in.box == ImageBox{103, 20, 64, 64});
  CHECK(noted(in, "cut from 200 x 100 pixels to the 64 x 64 around the object at (103, 20)"));
  CHECK(same_bits(in.image, pixels_to_image(crop_pixels(ramp(100, 200), 20, 103, 64, 64))));
  CHECK(in.mask.data<float>()[6] == 0.f);
  CHECK(in.mask.data<float>()[7] == 1.f);
  CHECK(in.truth.data<float>()[6] == static_cast<float>(config.max_depth));
  CHECK(in.truth.data<float>()[7] == doctest::Approx(1.1 - 0.2 * (100 * 110 + 20) / 65535.0).epsilon(1e-6));
  PreparedInput stretched = prepare_input(load_input({folder / "p.png", folder / "m.png", ""}), config, CropMode::none, unwanted);
  CHECK(stretched.box == ImageBox{0, 0, 200, 100});
  CHECK(noted(stretched, "stretched"));
  // A mask that is found on a smaller copy of a large image.
  write_png(folder / "large.png", Tensor::zeros({1000, 2000, 3}, DType::u8));
  auto find = [](const Tensor& small) {
    CHECK(small.shape() == Shape{320, 640, 3});
    return box_mask(320, 640, {160, 0, 128, 160}).reshape({320, 640});
  };
  PreparedInput found = prepare_input(load_input({folder / "large.png", "", ""}), config, CropMode::automatic, find);
  CHECK(found.box == ImageBox{450, 0, 500, 500});
  CHECK(found.mask_source == "u2netp");
  auto nothing = [](const Tensor&) { return Tensor::zeros({320, 640}); };
  CHECK_THROWS_WITH_AS(prepare_input(load_input({folder / "large.png", "", ""}), config, CropMode::automatic, nothing), doctest::Contains("give its `mask`"), Error);
}

TEST_CASE("input: grey, alpha, 16 bits and 20 megapixels") {
  Folder folder;
  const Config config = preset("default");
  Tensor rgba = ramp(64, 64, 4);
  for (std::int64_t i = 0; i < 64 * 32; ++i) rgba.mutable_data<std::uint8_t>()[4 * i + 3] = 0;
  write_png(folder / "rgba.png", rgba);
  PreparedInput in = prepare_input(load_input({folder / "rgba.png", "", ""}), config, CropMode::automatic, unwanted);
  CHECK(in.mask_source == "alpha");
  CHECK(in.mask.data<float>()[0] == 0.f);
  CHECK(in.mask.data<float>()[64 * 40] == 1.f);
  CHECK(in.photo.data<std::uint8_t>()[0] == 128);
  CHECK(noted(in, "alpha"));
  auto all = [](const Tensor& x) { return Tensor::full({x.dim(0), x.dim(1)}, 1); };
  write_png(folder / "opaque.png", ramp(64, 64, 4));
  PreparedInput opaque = prepare_input(load_input({folder / "opaque.png", "", ""}), config, CropMode::automatic, all);
  CHECK(opaque.mask_source == "u2netp");
  CHECK(noted(opaque, "opaque"));
  write_png(folder / "deep.png", Tensor::full({64, 64, 1}, 32896, DType::i32));
  PreparedInput deep = prepare_input(load_input({folder / "deep.png", "", ""}), config, CropMode::automatic, all);
  CHECK(noted(deep, "16 bits"));
  CHECK(noted(deep, "greyscale"));
  CHECK(deep.photo.data<std::uint8_t>()[5] == 128);
  write_png(folder / "large.png", Tensor::zeros({4500, 4500, 1}, DType::u8));
  PreparedInput large = prepare_input(load_input({folder / "large.png", "", ""}), config, CropMode::automatic, all);
  CHECK(large.photo.shape() == Shape{1, max_photo_side, max_photo_side, 3});
  CHECK(large.image.shape() == Shape{1, 64, 64, 3});
}

TEST_CASE("input: presets with a centre crop") {
  Folder folder;
  const Config config = preset("cat");
  write_png(folder / "p.png", ramp(256, 256));
  write_png(folder / "m.png", Tensor::full({256, 256, 1}, 255, DType::u8));
  PreparedInput in = prepare_input(load_input({folder / "p.png", folder / "m.png", ""}), config, CropMode::automatic, unwanted);
  CHECK(in.box == ImageBox{43, 43, 170, 170});
  CHECK(in.original_size == 256);
  CHECK(same_bits(in.image, pixels_to_image(resize_pixels(crop_pixels(ramp(256, 256), 43, 43, 170, 170), 128, 128))));
  write_png(folder / "p.png", ramp(64, 64));
  write_png(folder / "m.png", Tensor::full({64, 64, 1}, 255, DType::u8));
  CHECK(prepare_input(load_input({folder / "p.png", folder / "m.png", ""}), config, CropMode::automatic, unwanted).box.width == 43);
  CHECK(prepare_input(load_input({folder / "p.png", folder / "m.png", ""}), config, CropMode::none, unwanted).box.width == 64);
}

TEST_CASE("input: a true depth at another size is averaged over what is there") {
  Config config = preset("default");
  Tensor depth = Tensor::full({1, 128, 128, 1}, 1.0);
  for (std::int64_t i = 0; i < 128 * 128; ++i) depth.mutable_data<float>()[i] = i % 2 ? 1.02f : 1.f;
  for (std::int64_t i = 0; i < 128; ++i) depth.mutable_data<float>()[i] = 0;     // half of the first row of outputs
  for (std::int64_t i = 0; i < 3; ++i) depth.mutable_data<float>()[128 + i] = 0;  // and more of its first
  Tensor out = prepare_truth(depth, {0, 0, 128, 128}, config);
  CHECK(out.data<float>()[0] == static_cast<float>(config.max_depth));
  CHECK(out.data<float>()[5] == doctest::Approx(1.01));
  CHECK(out.data<float>()[64 * 9] == doctest::Approx(1.01));
  Tensor repeated = prepare_truth(depth, {0, 64, 32, 32}, config);
  CHECK(repeated.data<float>()[0] == repeated.data<float>()[1]);
  CHECK(repeated.data<float>()[2] == 1.02f);
}
