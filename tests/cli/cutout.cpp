#include "tests/cli/cutout.h"

#include "engine/files.h"
#include "engine/image.h"
#include "tests/support/check.h"

namespace g2s::test {

void write_cutout(const std::string& path, const std::string& head) {
  const Tensor rgb = read_image(source_path("assets/heads/" + head + "_64.png")).rgb;
  Tensor out = Tensor::empty({64, 64, 4}, DType::u8);
  for (std::int64_t i = 0; i < 64 * 64; ++i) {
    const std::int64_t y = i / 64, x = i % 64;
    std::uint8_t* pixel = out.mutable_data<std::uint8_t>() + 4 * i;
    for (int c = 0; c < 3; ++c) pixel[c] = rgb.data<std::uint8_t>()[3 * i + c];
    pixel[3] = y >= 8 && y < 60 && x >= 10 && x < 54 ? 255 : 0;
  }
  write_file(path, encode_png(out));
}

std::vector<std::string> shortest_fit(std::vector<std::string> pictures, const std::string& out, const std::vector<std::string>& more) {
  pictures.insert(pictures.begin(), "reconstruct");
  for (const std::string& argument : {std::string("--scale"), std::string("0.001"), std::string("--out"), out}) pictures.push_back(argument);
  pictures.insert(pictures.end(), more.begin(), more.end());
  return pictures;
}

}  // namespace g2s::test
