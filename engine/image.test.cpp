#include "engine/image.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "engine/hash.h"
#include "engine/hashed_tensor.h"
#include "engine/parallel.h"
#include "tests/support/check.h"

using namespace g2s;

namespace {

struct Folder {
  std::string path = temporary_name((std::filesystem::temp_directory_path() / "g2s_image").string());
  Folder() { make_folders(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
};

std::string image_path(const std::string& name) { return test::source_path("tests/images/" + name); }

// R, G, B or Y: which of the fixture's four colours is in the middle of each quarter, read row by row.
std::string quarters(const Tensor& rgb, int tolerance) {
  const int colours[4][3] = {{200, 40, 40}, {40, 200, 40}, {40, 40, 200}, {220, 220, 60}};
  const std::int64_t h = rgb.dim(1), w = rgb.dim(2);
  std::string found;
  for (std::int64_t y : {h / 4, 3 * h / 4})
    for (std::int64_t x : {w / 4, 3 * w / 4}) {
      const std::uint8_t* p = rgb.data<std::uint8_t>() + (y * w + x) * 3;
      char name = '?';
      for (int c = 0; c < 4; ++c) {
        bool same = true;
        for (int k = 0; k < 3; ++k) same = same && std::abs(p[k] - colours[c][k]) <= tolerance;
        if (same) name = "RGBY"[c];
      }
      found += name;
    }
  return found;
}

std::string refusal(const std::string& path) {
  try {
    read_image(path);
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find(path) != std::string::npos);
    return e.message();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("image: every format gives the same upright pixels") {
  for (const std::string name : {"rgb.png", "rgb.bmp", "rgb.ppm", "rgb.gif", "palette.png", "rgba.png"}) {
    CAPTURE(name);
    Image image = read_image(image_path(name));
    CHECK(image.rgb.shape() == Shape{1, 16, 24, 3});
    CHECK(quarters(image.rgb, 0) == "RGBY");
  }
  for (const char* name : {"rgb.jpg", "progressive.jpg"}) CHECK(quarters(read_image(image_path(name)).rgb, 3) == "RGBY");
}

TEST_CASE("image: the EXIF orientation is applied, in JPEG and PNG") {
  const std::pair<std::string, std::string> cases[] = {{"exif2.png", "GRYB"}, {"exif3.jpg", "YBGR"}, {"exif4.png", "BYRG"}, {"exif5.jpg", "RBGY"},
                                                       {"exif6.jpg", "BRYG"}, {"exif7.png", "YGBR"}, {"exif8.jpg", "GYRB"}};
  for (const auto& [name, expected] : cases) {
    CAPTURE(name);
    Image image = read_image(image_path(name));
    CHECK(image.info.orientation == name[4] - '0');
    CHECK(image.info.width == 24);
    CHECK(image.width() == (image.info.orientation >= 5 ? 16 : 24));
    CHECK(quarters(image.rgb, 3) == expected);
  }
}

TEST_CASE("image: alpha, grey and 16 bits are kept apart and reported") {
  Image rgba = read_image(image_path("rgba.png"));
  CHECK(rgba.info.has_alpha());
  REQUIRE(rgba.alpha);
  const std::uint8_t* alpha = rgba.alpha.data<std::uint8_t>();
  CHECK((alpha[5] == 0 && alpha[6] == 128 && alpha[8] == 255));
  CHECK_FALSE(read_image(image_path("rgb.png")).alpha);

  Image grey = read_image(image_path("grey.jpg"));
  CHECK(grey.info.grey());
  const std::uint8_t* p = grey.rgb.data<std::uint8_t>();
  CHECK((p[0] == p[1] && p[1] == p[2]));

  ImageInfo info;
  Tensor deep = read_grey(image_path("grey16.png"), &info);
  CHECK(info.bit_depth == 16);
  CHECK(deep.data<float>()[3 * 24 + 5] * 65535 == doctest::Approx(13090).epsilon(1e-7));
  CHECK(deep.data<float>()[15 * 24 + 23] * 65535 == doctest::Approx(65110).epsilon(1e-7));
  CHECK(read_image(image_path("grey16.png")).rgb.data<std::uint8_t>()[(3 * 24 + 5) * 3] == 51);  // 13090 / 257 rounded

  // Red (200,40,40) in luma; alpha multiplies.
  Tensor luma = read_grey(image_path("rgba.png"));
  CHECK(luma.data<float>()[0] == 0.f);
  CHECK(luma.data<float>()[8] * 255 == doctest::Approx(88));
  CHECK(luma.data<float>()[6] * 255 == doctest::Approx(88 * 128 / 255.0));
}

TEST_CASE("image: a truncated, damaged or foreign file is refused by name") {
  Folder folder;
  const std::string cut = folder / "cut";
  for (const std::string name : {"rgb.png", "grey16.png", "rgb.jpg", "progressive.jpg", "exif6.jpg", "rgb.bmp", "rgb.ppm", "palette.png"}) {
    const std::string whole = read_file(image_path(name));
    const bool jpeg = name.ends_with(".jpg");  // whose last bytes are no pixels
    const auto pixels = read_image(image_path(name)).rgb.to_vector<std::uint8_t>();
    for (std::size_t n = 0; n < whole.size(); ++n) {
      std::ofstream(cut, std::ios::binary) << whole.substr(0, n);
      if (refusal(cut) != "accepted" || (jpeg && read_image(cut).rgb.to_vector<std::uint8_t>() == pixels)) continue;
      FAIL_CHECK(name, " is accepted with ", whole.size() - n, " bytes missing");
    }
  }
  std::string png = read_file(image_path("rgb.png"));
  png[png.size() - 20] ^= 1;
  std::ofstream(cut, std::ios::binary) << png;
  CHECK(refusal(cut).find("damaged") != std::string::npos);
  std::ofstream(cut, std::ios::binary) << "Not a picture, but long enough to be taken for one by its length alone.";
  CHECK(refusal(cut).find("not a picture") != std::string::npos);
  std::ofstream(cut, std::ios::binary) << "";
  CHECK(refusal(cut) == "is empty");
  CHECK(refusal(folder / "absent").find("No such file") != std::string::npos);
  CHECK(refusal(folder.path).find("folder") != std::string::npos);
}

TEST_CASE("image: gigantic pictures are refused before they are decoded") {
  Folder folder;
  std::string pnm = "P6\n20000 20000\n255\n";
  std::ofstream(folder / "huge.ppm", std::ios::binary) << pnm << "few bytes";
  CHECK(refusal(folder / "huge.ppm").find("megapixels") != std::string::npos);
}

TEST_CASE("image: PNG files of 8 and 16 bits come back, always with the same bytes") {
  Folder folder;
  const std::string path = folder / "x.png";
  for (std::int64_t channels : {1, 3, 4}) {
    Tensor x = Tensor::empty({5, 7, channels}, DType::u8);
    for (std::int64_t i = 0; i < x.numel(); ++i) x.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * 37);
    write_png(path, x);
    const std::string first = read_file(path);
    write_png(path, x.reshape({1, 5, 7, channels}));
    CHECK(read_file(path) == first);
    Image image = read_image(path);
    CHECK(image.info.channels == channels);
    for (std::int64_t i = 0; i < 35; ++i) {
      CHECK(image.rgb.data<std::uint8_t>()[i * 3] == x.data<std::uint8_t>()[i * channels]);
      if (channels == 4) CHECK(image.alpha.data<std::uint8_t>()[i] == x.data<std::uint8_t>()[i * 4 + 3]);
    }
  }
  Tensor deep = Tensor::from<std::int32_t>({0, 1, 255, 256, 65534, 65535}, {2, 3, 1});
  write_png(path, deep);
  Tensor back = read_grey(path);
  for (std::int64_t i = 0; i < 6; ++i) CHECK(back.data<float>()[i] == static_cast<float>(deep.data<std::int32_t>()[i]) / 65535.f);
  CHECK_THROWS_AS(write_png(path, Tensor::from<std::int32_t>({65536}, {1, 1, 1})), Error);
  CHECK_THROWS_AS(write_png(path, Tensor::zeros({2, 2, 3})), Error);
  CHECK_THROWS_AS(write_png(folder / "no/x.png", deep), Error);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}

TEST_CASE("image: resizing is Pillow's to the bit, at any number of threads") {
  const auto cases = nlohmann::json::parse(read_file(image_path("resize.json")));
  REQUIRE(cases.size() == 20);
  for (const auto& c : cases) {
    CAPTURE(c.dump());
    const std::int64_t h = c["from"][0], w = c["from"][1], n = c["from"][2];
    Tensor values = hashed_tensor(str("resize/", h, "x", w, "x", n), {h * w * n}), pixels = Tensor::empty({1, h, w, n}, DType::u8);
    for (std::int64_t i = 0; i < values.numel(); ++i) pixels.mutable_data<std::uint8_t>()[i] = (values.data<double>()[i] + 1) / 2 > 0.5 ? 255 : 0;
    for (int threads : {1, 3}) {
      const WithThreads with(threads);
      Tensor out = resize_pixels(pixels, c["to"][0], c["to"][1], c["filter"] == "box" ? ResizeFilter::box : ResizeFilter::bilinear);
      CHECK(sha256(std::string_view(static_cast<const char*>(out.raw()), out.bytes())) == c["sha256"].get<std::string>());
    }
  }
}

TEST_CASE("image: crops and ranges") {
  Tensor x = Tensor::empty({1, 5, 6, 1}, DType::u8);
  for (std::int64_t i = 0; i < 30; ++i) x.mutable_data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i);
  CHECK(crop_pixels(x, 1, 2, 2, 3).to_vector<std::uint8_t>() == std::vector<std::uint8_t>{8, 9, 10, 14, 15, 16});
  CHECK_THROWS_AS(crop_pixels(x, 4, 0, 2, 1), Error);
  CHECK_THROWS_AS(crop_pixels(x, 0, -1, 1, 1), Error);
  Tensor back = image_to_pixels(pixels_to_image(x));
  CHECK(back.to_vector<std::uint8_t>() == x.to_vector<std::uint8_t>());
  Tensor wild = Tensor::from<float>({-3, 3, -1, 1, 0, std::numeric_limits<float>::quiet_NaN()});
  CHECK(image_to_pixels(wild).to_vector<std::uint8_t>() == std::vector<std::uint8_t>{0, 255, 0, 255, 128, 0});
}
