#include "models/gan2shape/contact_sheet.h"

#include <stb/stb_easy_font.h>

#include <algorithm>
#include <array>

#include "kernels/resize/resize.h"

namespace g2s {
namespace {

constexpr std::int64_t gap = 6, label_height = 18;

using Colour = std::array<float, 3>;

// An image being painted, white at first.
class Canvas {
 public:
  Canvas(std::int64_t height, std::int64_t width) : height_(height), width_(width), image_(Tensor::full({1, height, width, 3}, 1)) {}

  void paste(const Tensor& tile, std::int64_t top, std::int64_t left) {
    std::int64_t channels = tile.dim(3);
    const float* from = tile.data<float>();
    float* to = image_.mutable_data<float>();
    for (std::int64_t i = 0; i < tile.dim(1); ++i)
      for (std::int64_t j = 0; j < tile.dim(2); ++j)
        for (std::int64_t c = 0; c < 3; ++c)
          to[((top + i) * width_ + left + j) * 3 + c] =
              std::clamp(from[(i * tile.dim(2) + j) * channels + std::min(c, channels - 1)], 0.0f, 1.0f);
  }

  void rectangle(std::int64_t top, std::int64_t left, std::int64_t bottom, std::int64_t right, Colour colour) {
    float* to = image_.mutable_data<float>();
    for (std::int64_t i = std::max<std::int64_t>(top, 0); i < std::min(bottom, height_); ++i)
      for (std::int64_t j = std::max<std::int64_t>(left, 0); j < std::min(right, width_); ++j)
        for (std::int64_t c = 0; c < 3; ++c) to[(i * width_ + j) * 3 + c] = colour[static_cast<std::size_t>(c)];
  }

  // stb_easy_font draws its letters as axis-parallel rectangles of four vertices {x, y, z, colour}.
  void text(std::string words, std::int64_t top, std::int64_t left, Colour colour = {0.2f, 0.2f, 0.2f}) {
    struct Vertex {
      float x, y, z;
      unsigned char colour[4];
    };
    std::vector<Vertex> vertices(4 * 64 * std::max<std::size_t>(words.size(), 1));
    int quads = stb_easy_font_print(0, 0, words.data(), nullptr, vertices.data(), static_cast<int>(vertices.size() * sizeof(Vertex)));
    for (int q = 0; q < quads; ++q) {
      const Vertex &a = vertices[static_cast<std::size_t>(4 * q)], &b = vertices[static_cast<std::size_t>(4 * q + 2)];
      rectangle(top + static_cast<std::int64_t>(a.y), left + static_cast<std::int64_t>(a.x),
                top + static_cast<std::int64_t>(b.y), left + static_cast<std::int64_t>(b.x), colour);
    }
  }

  Tensor image() const { return image_; }

 private:
  std::int64_t height_, width_;
  Tensor image_;
};

}  // namespace

Tensor contact_sheet(const std::vector<std::vector<Tile>>& rows, const std::vector<std::string>& warnings, std::int64_t tile) {
  std::size_t columns = 0;
  for (const auto& row : rows) columns = std::max(columns, row.size());
  check(columns > 0, "contact_sheet", "no pictures");
  std::int64_t cell = tile + label_height + gap;
  const std::int64_t below = static_cast<std::int64_t>(rows.size()) * cell + gap;
  Canvas canvas(below + static_cast<std::int64_t>(warnings.size()) * label_height, static_cast<std::int64_t>(columns) * (tile + gap) + gap);
  for (std::size_t r = 0; r < rows.size(); ++r)
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      const Tile& t = rows[r][c];
      check(t.image.rank() == 4 && t.image.dim(0) == 1 && (t.image.dim(3) == 1 || t.image.dim(3) == 3), "contact_sheet", "tile ", t.label,
            " is ", describe(t.image));
      std::int64_t top = gap + static_cast<std::int64_t>(r) * cell, left = gap + static_cast<std::int64_t>(c) * (tile + gap);
      canvas.text(t.label, top + 5, left);
      canvas.paste(resize(t.image, tile, tile), top + label_height, left);
    }
  for (std::size_t i = 0; i < warnings.size(); ++i)
    canvas.text("WARNING: " + warnings[i], below + static_cast<std::int64_t>(i) * label_height + 3, gap, {0.85f, 0, 0});
  return canvas.image();
}

}  // namespace g2s
