#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "engine/parallel.h"
#include "kernels/conv/conv_paths.h"

namespace g2s::kernels {
namespace {

// One image of `rows` x `columns` pixels of `channels`, zero outside.
struct Image {
  const float* data;
  std::int64_t rows, columns, channels;

  bool inside(std::int64_t r, std::int64_t c) const { return r >= 0 && r < rows && c >= 0 && c < columns; }
  bool zero(const float* pixel) const {
    for (std::int64_t k = 0; k < channels; ++k)
      if (pixel[k] != 0) return false;
    return true;
  }
  bool same(std::int64_t r, std::int64_t c, std::int64_t other_r, std::int64_t other_c) const {
    const bool here = inside(r, c), there = inside(other_r, other_c);
    const float *a = data + (r * columns + c) * channels, *b = data + (other_r * columns + other_c) * channels;
    if (here && there) return std::memcmp(a, b, static_cast<std::size_t>(channels) * sizeof(float)) == 0;
    return here ? zero(a) : there ? zero(b) : true;
  }
};

// Per output: does its neighbourhood equal that of the output `up` rows above and `left` columns before?
std::vector<char> equal_neighbourhoods(const Image& x, std::int64_t kernel, std::int64_t pad_rows, std::int64_t pad_columns,
                                       std::int64_t y_rows, std::int64_t y_columns, std::int64_t up, std::int64_t left) {
  const std::int64_t across = y_columns + kernel - 1, down = y_rows + kernel - 1;
  std::vector<char> same(static_cast<std::size_t>(down * across)), equal(static_cast<std::size_t>(y_rows * y_columns));
  for (std::int64_t r = 0; r < down; ++r)
    for (std::int64_t c = 0; c < across; ++c)
      same[static_cast<std::size_t>(r * across + c)] = x.same(r - pad_rows, c - pad_columns, r - pad_rows - up, c - pad_columns - left);
  for (std::int64_t i = up; i < y_rows; ++i) {
    for (std::int64_t j = left; j < y_columns; ++j) {
      bool all = true;
      for (std::int64_t u = 0; u < kernel && all; ++u)
        for (std::int64_t v = 0; v < kernel && all; ++v) all = same[static_cast<std::size_t>((i + u) * across + j + v)];
      equal[static_cast<std::size_t>(i * y_columns + j)] = all;
    }
  }
  return equal;
}

// Sets of connected outputs, each known by its first output.
class Sets {
 public:
  explicit Sets(std::int64_t count) : parent_(static_cast<std::size_t>(count)) { std::iota(parent_.begin(), parent_.end(), std::int64_t{0}); }
  std::int64_t first(std::int64_t i) {
    std::int64_t root = i;
    while (at(root) != root) root = at(root);
    while (at(i) != root) i = std::exchange(at(i), root);
    return root;
  }
  void join(std::int64_t i, std::int64_t j) {
    const std::int64_t a = first(i), b = first(j);
    at(std::max(a, b)) = std::min(a, b);
  }

 private:
  std::int64_t& at(std::int64_t i) { return parent_[static_cast<std::size_t>(i)]; }
  std::vector<std::int64_t> parent_;
};

}  // namespace

void keep_ties(const IndirectGemmArgs& g, std::int64_t kernel, std::int64_t pad_rows, std::int64_t pad_columns,
               const std::vector<std::int64_t>& wanted) {
  const std::int64_t count = g.y_rows * g.y_columns;
  parallel_for(static_cast<std::int64_t>(wanted.size()), [&](std::int64_t image) {
    const std::int64_t b = wanted[static_cast<std::size_t>(image)];
    const Image x{g.x + b * g.x_rows * g.x_columns * g.k, g.x_rows, g.x_columns, g.k};
    const std::vector<char> left = equal_neighbourhoods(x, kernel, pad_rows, pad_columns, g.y_rows, g.y_columns, 0, 1);
    const std::vector<char> above = equal_neighbourhoods(x, kernel, pad_rows, pad_columns, g.y_rows, g.y_columns, 1, 0);
    Sets sets(count);
    for (std::int64_t i = 0; i < count; ++i) {
      if (left[static_cast<std::size_t>(i)]) sets.join(i, i - 1);
      if (above[static_cast<std::size_t>(i)]) sets.join(i, i - g.y_columns);
    }
    float* y = g.y + b * count * g.n;
    for (std::int64_t i = 0; i < count; ++i)
      if (sets.first(i) != i) std::memcpy(y + i * g.n, y + sets.first(i) * g.n, static_cast<std::size_t>(g.n) * sizeof(float));
  });
}

}  // namespace g2s::kernels
