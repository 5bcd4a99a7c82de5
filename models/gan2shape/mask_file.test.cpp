#include "models/gan2shape/mask_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>

#include "engine/error.h"
#include "engine/files.h"
#include "engine/image.h"

using namespace g2s;

namespace {

constexpr std::int64_t side = 40;

struct Folder {
  std::string path = temporary_name((std::filesystem::temp_directory_path() / "g2s_mask").string());
  Folder() { make_folders(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

// The object of all masks here.
bool inside(std::int64_t x, std::int64_t y) { return x >= 10 && x < 30 && y >= 12 && y < 36; }

using Pixel = std::function<std::vector<int>(bool object, std::int64_t x)>;

std::string written(const Folder& folder, int channels, DType type, const Pixel& pixel) {
  Tensor pixels = Tensor::empty({side, side, channels}, type);
  for (std::int64_t i = 0; i < side * side; ++i) {
    const std::vector<int> values = pixel(inside(i % side, i / side), i % side);
    for (int c = 0; c < channels; ++c) {
      if (type == DType::u8)
        pixels.mutable_data<std::uint8_t>()[i * channels + c] = static_cast<std::uint8_t>(values[static_cast<std::size_t>(c)]);
      else pixels.mutable_data<std::int32_t>()[i * channels + c] = values[static_cast<std::size_t>(c)];
    }
  }
  write_png(folder / "mask.png", pixels);
  return folder / "mask.png";
}

// How many pixels differ from the object.
std::int64_t wrong(const Tensor& mask) {
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < side * side; ++i) count += mask.data<float>()[i] != (inside(i % side, i / side) ? 1.f : 0.f);
  return count;
}

std::string refusal(const std::string& path) {
  try {
    read_mask_file(path);
  } catch (const Error& e) {
    CHECK(e.op() == path);
    return e.message();
  }
  return "accepted";
}

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("masks: white on black, labels, palettes, grey levels and cut-outs are all the object") {
  const Folder folder;
  struct Kind {
    const char* name;
    int channels;
    DType type;
    Pixel pixel;
    const char* note;
  };
  const Kind kinds[] = {
      {"white", 1, DType::u8, [](bool o, auto) { return std::vector<int>{o ? 255 : 0}; }, ""},
      {"white of 16 bits", 1, DType::i32, [](bool o, auto) { return std::vector<int>{o ? 65535 : 0}; }, ""},
      {"0 and 1", 1, DType::u8, [](bool o, auto) { return std::vector<int>{o ? 1 : 0}; }, "0 and 1 of 255"},
      {"0 and 1 of 16 bits", 1, DType::i32, [](bool o, auto) { return std::vector<int>{o ? 1 : 0}; }, "0 and 1 of 65535"},
      {"grey", 1, DType::u8, [](bool o, auto) { return std::vector<int>{o ? 140 : 0}; }, "0 and 140 of 255"},
      {"labels", 1, DType::u8, [](bool o, std::int64_t x) { return std::vector<int>{o ? static_cast<int>(x % 3) + 1 : 0}; },
       "values 0 to 3 of 255, taken as labels"},
      {"palette", 3, DType::u8,
       [](bool o, std::int64_t x) {
         return o ? (x % 2 ? std::vector<int>{128, 0, 0} : std::vector<int>{0, 64, 0}) : std::vector<int>{0, 0, 0};
       },
       "3 colours"},
      {"cut-out", 4, DType::u8,
       [](bool o, std::int64_t x) {
         return std::vector<int>{static_cast<int>(x), 20, 200, o ? 255 : 0};
       },
       "alpha channel"},
      {"black on transparent", 4, DType::u8,
       [](bool o, auto) {
         return std::vector<int>{0, 0, 0, o ? 255 : 0};
       },
       "alpha channel"},
      {"white, opaque", 4, DType::u8,
       [](bool o, auto) {
         const int v = o ? 255 : 0;
         return std::vector<int>{v, v, v, 255};
       },
       ""}};
  for (const Kind& kind : kinds) {
    CAPTURE(kind.name);
    const MaskFile file = read_mask_file(written(folder, kind.channels, kind.type, kind.pixel));
    CHECK(wrong(file.mask) == 0);
    CHECK(file.notes.size() == (*kind.note ? 1 : 0));
    if (*kind.note) CHECK(says(file.notes.at(0), kind.note));
  }
}

TEST_CASE("masks: what cannot be understood is refused with what was seen") {
  const Folder folder;
  auto grey = [&](const std::function<int(bool, std::int64_t)>& value) {
    return refusal(written(folder, 1, DType::u8, [&](bool o, std::int64_t x) { return std::vector<int>{value(o, x)}; }));
  };
  CHECK(says(grey([](bool, auto) { return 0; }), "black everywhere"));
  CHECK(says(grey([](bool o, std::int64_t x) { return o ? 100 + static_cast<int>(x) : 3; }), "its brightest value is 129 of 255"));
  CHECK(says(refusal(written(folder, 4, DType::u8,
                             [](bool, auto) {
                               return std::vector<int>{255, 255, 255, 0};
                             })),
             "alpha channel, which counts where a mask has one, is 0"));
  CHECK(says(refusal(written(folder, 3, DType::u8,
                             [](bool o, std::int64_t x) {
                               return std::vector<int>{o ? 250 : 30, 90, static_cast<int>(x) * 6 % 7};
                             })),
             "no black"));
  int next = 0;
  CHECK(says(refusal(written(folder, 3, DType::u8,
                             [&](bool, auto) {
                               return ++next, std::vector<int>{next % 256, next / 256, 200};
                             })),
             "as a photograph has"));
}

TEST_CASE("masks: an inverted one is suspected, an object at the lower border is not") {
  const Folder folder;
  const MaskFile inverted = read_mask_file(written(folder, 1, DType::u8, [](bool o, auto) { return std::vector<int>{o ? 0 : 255}; }));
  REQUIRE(inverted.notes.size() == 1);
  CHECK(says(inverted.notes[0], "warning: most of the mask's border (100 %) is object: is it inverted?"));
  CHECK(read_mask_file(written(folder, 1, DType::u8, [](bool, std::int64_t x) {
          return std::vector<int>{x > 5 && x < 34 ? 255 : 0};
        })).notes.empty());
}

TEST_CASE("masks: another size of the same shape is resized, another shape is refused with both sizes") {
  const Folder folder;
  MaskFile file = read_mask_file(written(folder, 1, DType::u8, [](bool o, auto) { return std::vector<int>{o ? 255 : 0}; }));
  fit_mask(file, "mask.png", 2 * side, 2 * side, "the picture");
  CHECK(file.mask.shape() == Shape{1, 2 * side, 2 * side, 1});
  CHECK(file.mask.data<float>()[40 * 80 + 40] == 1.f);
  CHECK(file.mask.data<float>()[0] == 0.f);
  CHECK(says(file.notes.at(0), "resized from 40 x 40"));
  MaskFile again = file;
  fit_mask(again, "mask.png", 2 * side, 2 * side, "the picture");
  CHECK(again.notes.size() == 1);
  CHECK_THROWS_WITH_AS(fit_mask(file, "mask.png", 80, 79, "the picture"),
                       doctest::Contains("the mask is 80 x 80 pixels, but the picture is 80 x 79"), Error);
  CHECK_THROWS_AS(fit_mask(file, "mask.png", 100, 60, "the picture"), Error);
  MaskFile rounded{Tensor::zeros({1, 67, 100, 1}), {}};  // 2 : 3, rounded
  CHECK_NOTHROW(fit_mask(rounded, "mask.png", 1500, 1000, "the picture"));
}
