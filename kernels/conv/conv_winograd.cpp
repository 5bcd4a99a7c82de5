#include <algorithm>

#include "kernels/conv/conv_paths.h"
#include "kernels/conv/winograd_args.h"
#include "kernels/matmul/derived.h"

namespace g2s::kernels {
namespace {

constexpr std::int64_t enough_blocks = 16;
constexpr std::int64_t few_channels = 16;

std::int64_t tile_count(const IndirectGemmArgs& g, std::int64_t kernel) {
  const std::int64_t m = winograd_tile + 1 - kernel;
  return g.batch * ((g.rows + m - 1) / m) * ((g.columns + m - 1) / m);
}

}  // namespace

bool winograd_suits(const IndirectGemmArgs& g, std::int64_t kernel, const WeightView& view) {
  if ((kernel != 3 && kernel != 5) || g.x_step != 1 || g.y_step != 1) return false;
  if (view.k < few_channels || view.n < few_channels) return false;
  // Cycles, where a cycle does 16 multiply-adds of a product: measured on Zen 4. Only their ratio counts, which other machines nearly share.
  const double tiles = static_cast<double>(tile_count(g, kernel)), pixels = static_cast<double>(g.batch * g.rows * g.columns);
  const double weights = static_cast<double>(view.k * view.n), channels = static_cast<double>(view.k + view.n);
  const double direct = pixels * static_cast<double>(kernel * kernel) * weights / 16;
  const double products = winograd_points * std::max(tiles, 6.0) * weights / 16, transforms = tiles * channels / 16 * 280;
  // Many weights are read from memory, or also written there: 8 bytes a cycle and 2.5.
  const double weight_bytes = winograd_points * weights * sizeof(float);
  const double reading = std::max(0.0, weight_bytes / 8 - products), making = view.owner.is_constant() ? 0 : weight_bytes / 2.5;
  return products + transforms + reading + making < direct;
}

void conv_winograd(const IndirectGemmArgs& g, std::int64_t kernel, std::int64_t pad_rows, std::int64_t pad_columns, const Tensor& x,
                   const WeightView& view, const std::string& cache_key) {
  Tensor points = derived(view.owner, "winograd " + cache_key, [&] {
    Tensor panels = pack_weight(view);
    Tensor made = Tensor::empty({winograd_points * view.k * padded_columns(view.n)});
    winograd_weight({panels.data<float>(), made.mutable_data<float>(), kernel, view.k, view.n});
    return made;
  });
  Tensor zeros, transformed;
  WinogradArgs a{};
  a.x = x.data<float>();
  a.weight = points.data<float>();
  a.y = g.y;
  a.kernel = kernel;
  a.batch = g.batch;
  a.x_rows = g.x_rows, a.x_columns = g.x_columns, a.k = view.k;
  a.y_rows = g.y_rows, a.y_columns = g.y_columns, a.n = view.n;
  a.pad_rows = pad_rows, a.pad_columns = pad_columns;
  a.zeros = zeros_for(view.k, zeros);
  // Transformed inputs and products of a block should stay in the second-level cache, and a block must use each weight often enough.
  const std::int64_t tiles = tile_count(g, kernel), wanted = view.k <= 96 ? 24 : 48, blocks = (tiles + wanted - 1) / wanted;
  a.tiles_in_block = (tiles + blocks - 1) / blocks;
  if (blocks < enough_blocks) {
    transformed = Tensor::empty({winograd_points * (tiles * ((view.k + 15) / 16 * 16) + 16)});
    a.transformed = transformed.mutable_data<float>();
  }
  winograd(a);
}

}  // namespace g2s::kernels
