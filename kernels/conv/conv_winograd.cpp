#include <algorithm>

#include "kernels/conv/conv_paths.h"
#include "kernels/conv/winograd_args.h"
#include "kernels/matmul/constant_cache.h"

namespace g2s::kernels {
namespace {

constexpr std::int64_t enough_blocks = 16;

std::int64_t tiles_of_image(const IndirectGemmArgs& g, std::int64_t tile, std::int64_t kernel) {
  const std::int64_t m = tile + 1 - kernel;
  return ((g.rows + m - 1) / m) * ((g.columns + m - 1) / m);
}

// Images with a tile in which neighbouring pixels are equal.
std::vector<std::int64_t> with_equal_neighbours(const std::vector<char>& equal, std::int64_t batch) {
  const std::size_t tiles = equal.size() / static_cast<std::size_t>(batch);
  std::vector<std::int64_t> images;
  for (std::int64_t b = 0; b < batch; ++b) {
    const char* first = equal.data() + static_cast<std::size_t>(b) * tiles;
    if (std::find(first, first + tiles, 1) != first + tiles) images.push_back(b);
  }
  return images;
}

}  // namespace

void conv_winograd(const IndirectGemmArgs& g, std::int64_t tile, std::int64_t kernel, std::int64_t pad_rows, std::int64_t pad_columns,
                   const Tensor& x, const WeightView& view, const std::string& cache_key, bool ties) {
  const std::int64_t points_count = winograd_points(tile);
  Tensor points = cached_from_constant(view.owner, (tile == 6 ? "winograd6 " : "winograd4 ") + cache_key, [&] {
    Tensor panels = pack_weight(view);
    Tensor made = Tensor::empty({points_count * view.k * padded_columns(view.n)});
    winograd_weight({panels.data<float>(), made.mutable_data<float>(), tile, kernel, view.k, view.n});
    return made;
  });
  Tensor zeros, transformed;
  WinogradArgs a{};
  a.x = x.data<float>();
  a.weight = points.data<float>();
  a.y = g.y;
  a.tile = tile;
  a.kernel = kernel;
  a.batch = g.batch;
  a.x_rows = g.x_rows, a.x_columns = g.x_columns, a.k = view.k;
  a.y_rows = g.y_rows, a.y_columns = g.y_columns, a.n = view.n;
  a.pad_rows = pad_rows, a.pad_columns = pad_columns;
  a.zeros = zeros_for(view.k, zeros);
  a.epilogue = &g.epilogue;
  // Transformed inputs and products of a block should stay in the second-level cache, and a block must use each weight often enough.
  const std::int64_t tiles = g.batch * tiles_of_image(g, tile, kernel), wanted = view.k <= 96 ? 24 : 48,
                     blocks = (tiles + wanted - 1) / wanted;
  a.tiles_in_block = (tiles + blocks - 1) / blocks;
  if (blocks < enough_blocks) {
    transformed = Tensor::empty({points_count * (tiles * ((view.k + 15) / 16 * 16) + 16)});
    a.transformed = transformed.mutable_data<float>();
  }
  std::vector<char> equal(static_cast<std::size_t>(ties ? tiles : 0));
  if (ties) a.equal_neighbours = equal.data();
  winograd(a);
  if (ties) keep_ties(g, kernel, pad_rows, pad_columns, with_equal_neighbours(equal, g.batch));
}

}  // namespace g2s::kernels
