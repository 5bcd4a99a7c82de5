// Pictures of every format and kind, compared with what Pillow reads of them (tests/images/make_formats.py).
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "engine/error.h"
#include "engine/files.h"
#include "engine/image.h"
#include "tests/convert/fixtures.h"
#include "tests/support/check.h"
#include "tests/support/skip.h"
#include "weights_converter/zip.h"

using namespace g2s;
using namespace g2s::test;

namespace {

struct Expected {
  std::int64_t height = 0, width = 0;
  std::string rgba;
};

Expected expected_of(const std::string& content) {
  std::uint32_t size[2];
  std::memcpy(size, content.data(), sizeof size);
  return {size[0], size[1], content.substr(sizeof size)};
}

// Formats whose decoders round in their own ways, from version to version; and colours that a profile changes.
int tolerance(const std::string& name) {
  if (name.ends_with(".heic") || name.ends_with(".avif")) return 3;
  return name.starts_with("wide.") ? 1 : 0;
}

// What cannot be compared where a library is absent.
bool needs_more(const std::string& name) {
  const bool jpeg = picture_libraries().find("libjpeg") != std::string::npos, lcms = picture_libraries().find("lcms2") != std::string::npos;
  return (name.ends_with(".jpg") && !jpeg) || (name.starts_with("wide.") && !lcms);
}

// The largest difference; colours of what is transparent do not count.
int difference(const Image& image, const Expected& want) {
  if (image.height() != want.height || image.width() != want.width) return 1000;
  int worst = 0;
  for (std::int64_t i = 0; i < want.height * want.width; ++i) {
    const auto* w = reinterpret_cast<const unsigned char*>(want.rgba.data()) + 4 * i;
    const int alpha = image.alpha ? image.alpha.data<std::uint8_t>()[i] : 255;
    worst = std::max(worst, std::abs(alpha - w[3]));
    for (int c = 0; c < 3 && w[3] > 0; ++c) worst = std::max(worst, std::abs(image.rgb.data<std::uint8_t>()[3 * i + c] - w[c]));
  }
  return worst;
}

std::string refusal(const std::string& path) {
  try {
    read_image(path);
  } catch (const Error& e) {
    CHECK(e.op() == path);
    return e.message();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("pictures: every format has the pixels that Pillow reads") {
  const TemporaryFolder folder;
  int read = 0;
  for (const auto& member : ::g2s::convert::read_zip("formats.zip", ::g2s::convert::map_file(source_path("tests/images/formats.zip"))))
    write_file(folder / member.name, std::string(member.content.load().view()));
  for (const std::string& name : entries(folder.path())) {
    if (name.ends_with(".rgba")) continue;
    CAPTURE(name);
    if (needs_more(name)) {
      skip(name + " is not compared: this build reads pictures by " + picture_libraries());
      continue;
    }
    const std::string path = folder / name;
    CHECK(is_image(path));
    try {
      const Image image = read_image(path);
      CHECK(difference(image, expected_of(read_file(path + ".rgba", 1 << 20))) <= tolerance(name));
      CHECK(image_info(path).channels == image.info.channels);
      ++read;
    } catch (const Error& e) {
      if (e.code() != Errc::unsupported) throw;
      skip(e.what());  // its library was not found
    }
  }
  CHECK(read >= 25);
}

TEST_CASE("pictures: a format that is not read is named, and nothing is said of checkpoints") {
  const TemporaryFolder folder;
  const std::pair<const char*, std::string> others[] = {{"JPEG XL", "\xff\x0a and so on"},
                                                        {"Photoshop", "8BPS and so on"},
                                                        {"OpenEXR", "\x76\x2f\x31\x01 and so on"},
                                                        {"JPEG 2000", std::string("\0\0\0\x0cjP  \r\n\x87\n and so on", 24)},
                                                        {"QOI", "qoif and so on"},
                                                        {"PDF", "%PDF-1.7 and so on"},
                                                        {"camera raw", "FUJIFILMCCD-RAW and so on"}};
  for (const auto& [title, content] : others) {
    CAPTURE(title);
    write_file(folder / "picture", content);
    CHECK(refusal(folder / "picture").find(str("is a ", title)) != std::string::npos);
    const Outcome info = run_program({"info", folder / "picture"});
    CHECK(info.code == 1);
    CHECK(info.err.find(title) != std::string::npos);
    CHECK(info.err.find("checkpoint") == std::string::npos);
  }
  write_file(folder / "text.jpg", "no picture at all");
  const Outcome info = run_program({"info", folder / "text.jpg"});
  CHECK(info.err.find("not a picture") != std::string::npos);
  CHECK(info.err.find("checkpoint") == std::string::npos);
}

TEST_CASE("reconstruct: the transparent colour of a PNG is the mask") {
  const TemporaryFolder folder;
  for (const auto& member : ::g2s::convert::read_zip("formats.zip", ::g2s::convert::map_file(source_path("tests/images/formats.zip"))))
    if (member.name == "rgb8_key.png") write_file(folder / member.name, std::string(member.content.load().view()));
  const Image image = read_image(folder / "rgb8_key.png");
  CHECK(image.info.channels == 4);
  REQUIRE(image.alpha);
  const auto alpha = image.alpha.to_vector<std::uint8_t>();
  CHECK(std::count(alpha.begin(), alpha.end(), 0) > 0);
  CHECK(std::count(alpha.begin(), alpha.end(), 255) > 0);
}

TEST_CASE("bug cases: JPEGs of four inks are what everybody shows") {
  const auto folder = shared_path("bugcases/cmyk_jpeg");
  if (!folder) return;
  if (picture_libraries().find("libjpeg") == std::string::npos) return skip("JPEGs of four inks: this build has no libjpeg");
  const auto want = read_image(*folder + "/expected.png").rgb.to_vector<std::uint8_t>();
  auto worst = [&](const char* name, bool inverse) {
    const auto got = read_image(*folder + "/" + name).rgb.to_vector<std::uint8_t>();
    REQUIRE(got.size() == want.size());
    int most = 0;
    for (std::size_t i = 0; i < want.size(); ++i) most = std::max(most, std::abs(got[i] - (inverse ? 255 - want[i] : want[i])));
    return most;
  };
  CHECK(worst("adobe_cmyk.jpg", false) == 0);
  CHECK(worst("cmyk_without_marker.jpg", false) == 0);
  CHECK(worst("adobe_ycck.jpg", true) <= 4);  // the inverse of that picture, as Pillow reads it, and rounded otherwise
}
