// Convolutions whose inputs are rounded to bfloat16: every one is an indirect product of matrix tiles, without Winograd's transformations.
#include <algorithm>
#include <string>
#include <vector>

#include "kernels/conv/conv_paths.h"
#include "kernels/matmul/bf16_args.h"
#include "kernels/matmul/constant_cache.h"

namespace g2s::kernels {
namespace {

constexpr std::int64_t few_channels = 16;         // of the input: up to here all taps of an output are gathered
constexpr std::int64_t channels_at_once = 256;    // see for_each_chunk
constexpr std::int64_t most_chunks = 72;          // of a sum without a break
constexpr std::int64_t most_panels = 8;           // that are computed from one reading of the input
constexpr std::int64_t block_bytes = 256 * 1024;  // of converted input: a part of the second-level cache
constexpr std::int64_t most_tiles = 64;           // in a block
constexpr std::int64_t fewest_tiles = 32;         // that share the reading of a weight
constexpr std::int64_t enough_pieces = 16;

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
std::int64_t floor_divide(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -divide_up(-a, b); }

// The tables that Bf16GemmArgs points to.
struct Tables {
  std::vector<std::int32_t> plane_rows, plane_columns, chunk_planes;
  std::vector<std::int64_t> chunk_offsets, starts;
};

// The order of the sum: all taps of some channels, which the cache still holds from one tap to the next, then the next channels.
template <class Body>
void for_each_chunk(std::int64_t taps, std::int64_t channels, Body body) {
  for (std::int64_t first = 0; first < channels; first += channels_at_once)
    for (std::int64_t tap = 0; tap < taps; ++tap)
      for (std::int64_t k = first; k < std::min(channels, first + channels_at_once); k += bf16_chunk) body(tap, k);
}

struct TapPlace {
  std::int32_t plane;
  std::int64_t row, column;  // shifts within it
};

bool gathers(const WeightView& view) {
  const std::int64_t taps = static_cast<std::int64_t>(view.tap_offsets.size());
  return view.k <= few_channels && taps > 1 && taps * view.k <= bf16_most_gathered;
}

std::vector<TapPlace> place_taps(const IndirectGemmArgs& g, Tables& t) {
  std::vector<TapPlace> places;
  for (std::int64_t i = 0; i < g.taps; ++i) {
    TapPlace p{0, floor_divide(g.tap_rows[i], g.x_step), floor_divide(g.tap_columns[i], g.x_step)};
    const std::int64_t row = g.tap_rows[i] - p.row * g.x_step, column = g.tap_columns[i] - p.column * g.x_step;
    while (p.plane < static_cast<std::int32_t>(t.plane_rows.size()) &&
           (t.plane_rows[static_cast<std::size_t>(p.plane)] != row || t.plane_columns[static_cast<std::size_t>(p.plane)] != column))
      ++p.plane;
    if (p.plane == static_cast<std::int32_t>(t.plane_rows.size())) {
      t.plane_rows.push_back(static_cast<std::int32_t>(row));
      t.plane_columns.push_back(static_cast<std::int32_t>(column));
    }
    places.push_back(p);
  }
  return places;
}

// A row's zeros on the right are those on the left of the next, and so with images.
std::int64_t shared_pitch(std::int64_t pixels, std::int64_t outputs, std::int64_t lowest, std::int64_t highest) {
  const std::int64_t before = std::max<std::int64_t>(0, -lowest), after = std::max<std::int64_t>(0, outputs + highest - pixels);
  return std::max(pixels + std::max(before, after), outputs);
}

void use_planes(const IndirectGemmArgs& g, Bf16GemmArgs& a, Tables& t) {
  const std::vector<TapPlace> places = place_taps(g, t);
  std::int64_t top = 0, bottom = 0, left = 0, right = 0;
  if (!places.empty()) {
    auto rows = std::minmax_element(places.begin(), places.end(), [](const TapPlace& p, const TapPlace& q) { return p.row < q.row; });
    auto columns = std::minmax_element(places.begin(), places.end(), [](const TapPlace& p, const TapPlace& q) { return p.column < q.column; });
    top = rows.first->row, bottom = rows.second->row, left = columns.first->column, right = columns.second->column;
  }
  a.pitch_rows = shared_pitch(divide_up(g.x_rows, g.x_step), g.rows, top, bottom);
  a.pitch = shared_pitch(divide_up(g.x_columns, g.x_step), g.columns, left, right);
  a.width = divide_up(g.k, bf16_chunk) * bf16_chunk;
  for (const TapPlace& p : places) {
    const std::int64_t shift = p.row * a.pitch + p.column;
    a.lowest = std::min(a.lowest, shift);
    a.highest = std::max(a.highest, shift);
  }
  for_each_chunk(g.taps, g.k, [&](std::int64_t tap, std::int64_t k) {
    const TapPlace& p = places[static_cast<std::size_t>(tap)];
    t.chunk_planes.push_back(p.plane);
    t.chunk_offsets.push_back((p.row * a.pitch + p.column) * a.width + k);
  });
}

void use_gathered(const IndirectGemmArgs& g, Bf16GemmArgs& a, Tables& t) {
  a.gathered = g.taps;
  a.tap_rows = g.tap_rows;
  a.tap_columns = g.tap_columns;
  a.pitch_rows = g.rows;
  a.pitch = g.columns;
  a.width = divide_up(g.taps * g.k, bf16_chunk) * bf16_chunk;
  t.plane_rows = t.plane_columns = {0};
  for (std::int64_t k = 0; k < a.width; k += bf16_chunk) {
    t.chunk_planes.push_back(0);
    t.chunk_offsets.push_back(k);
  }
}

// 16 consecutive pixels each, from the next output that none has yet.
std::vector<std::int64_t> place_tiles(const Bf16GemmArgs& a) {
  std::vector<std::int64_t> starts;
  std::int64_t done = 0;  // pixels before this one have their tile
  for (std::int64_t b = 0; b < a.batch; ++b) {
    for (std::int64_t i = 0; i < a.rows; ++i) {
      const std::int64_t row = (b * a.pitch_rows + i) * a.pitch, end = row + a.columns;
      for (std::int64_t at = std::max(row, done); at < end; at = done) {
        starts.push_back(at);
        done = at + bf16_tile_side;
      }
    }
  }
  return starts;
}

// By sizes alone: blocks whose input stays in the cache, and where these are few also groups of output channels.
void choose_tiling(Bf16GemmArgs& a) {
  const std::int64_t tile_bytes = bf16_tile_side * a.width * a.planes * 2, panels = divide_up(a.n, bf16_panel);
  const std::int64_t parts = std::max<std::int64_t>(1, divide_up(a.chunks, most_chunks));
  a.chunks_at_once = std::max<std::int64_t>(1, divide_up(a.chunks, parts));
  a.panels_at_once = most_panels;
  a.tiles_in_block = std::clamp(block_bytes / tile_bytes, fewest_tiles, parts > 1 ? most_tiles / 2 : most_tiles);
  const std::int64_t blocks = divide_up(a.tiles, a.tiles_in_block);
  a.tiles_in_block = divide_up(a.tiles, blocks);
  a.groups = std::min(panels, divide_up(enough_pieces, blocks));
}

Tensor pack(const WeightView& view, bool gathered) {
  const std::int64_t taps = static_cast<std::int64_t>(view.tap_offsets.size());
  std::vector<std::int64_t> k_offsets;
  auto add = [&](std::int64_t tap, std::int64_t k) {
    k_offsets.push_back(k < view.k ? view.tap_offsets[static_cast<std::size_t>(tap)] + k * view.k_stride : -1);
  };
  if (gathered) {
    for (std::int64_t tap = 0; tap < taps; ++tap)
      for (std::int64_t k = 0; k < view.k; ++k) add(tap, k);
    while (k_offsets.size() % bf16_chunk != 0) k_offsets.push_back(-1);
  } else {
    for_each_chunk(taps, view.k, [&](std::int64_t tap, std::int64_t first) {
      for (std::int64_t k = first; k < first + bf16_chunk; ++k) add(tap, k);
    });
  }
  const std::int64_t chunks = static_cast<std::int64_t>(k_offsets.size()) / bf16_chunk;
  Tensor packed = Tensor::empty({divide_up(view.n, bf16_panel) * chunks * 2 * bf16_tile * 2}, DType::u8);
  bf16_pack({view.data, reinterpret_cast<std::uint16_t*>(packed.mutable_data<std::uint8_t>()), chunks, k_offsets.data(), view.n, view.n_stride});
  return packed;
}

}  // namespace

void conv_bf16(const IndirectGemmArgs& g, const WeightView& view, const std::string& cache_key) {
  if (bf16_unit() == Bf16Unit::none) fail(Errc::unsupported, "bf16", "this processor has neither AVX512-BF16 nor AMX");
  const bool gathered = gathers(view);
  const Tensor weight = cached_from_constant(view.owner, "bf16 " + cache_key, [&] { return pack(view, gathered); });
  Bf16GemmArgs a{};
  a.x = g.x;
  a.batch = g.batch, a.x_rows = g.x_rows, a.x_columns = g.x_columns, a.k = g.k;
  a.x_step = g.x_step;
  a.weight = reinterpret_cast<const std::uint16_t*>(weight.data<std::uint8_t>());
  a.y = g.y;
  a.epilogue = g.epilogue.wanted ? &g.epilogue : nullptr;
  a.y_rows = g.y_rows, a.y_columns = g.y_columns, a.n = g.n;
  a.y_first_row = g.y_first_row, a.y_first_column = g.y_first_column, a.y_step = g.y_step;
  a.rows = g.rows, a.columns = g.columns;
  Tables t;
  if (gathered) use_gathered(g, a, t);
  else use_planes(g, a, t);
  t.starts = place_tiles(a);
  a.planes = static_cast<std::int64_t>(t.plane_rows.size());
  a.plane_rows = t.plane_rows.data();
  a.plane_columns = t.plane_columns.data();
  a.chunks = static_cast<std::int64_t>(t.chunk_planes.size());
  a.chunk_planes = t.chunk_planes.data();
  a.chunk_offsets = t.chunk_offsets.data();
  a.starts = t.starts.data();
  a.tiles = static_cast<std::int64_t>(t.starts.size());
  choose_tiling(a);
  Tensor converted;
  if (a.groups > 1) {
    const std::int64_t span = bf16_span(t.starts.front(), t.starts.back(), a.lowest, a.highest);
    converted = Tensor::empty({a.planes * span * a.width * 2}, DType::u8);
    a.converted = reinterpret_cast<std::uint16_t*>(converted.mutable_data<std::uint8_t>());
  }
  bf16_gemm(a);
}

}  // namespace g2s::kernels
