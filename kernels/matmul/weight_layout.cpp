#include "kernels/matmul/weight_layout.h"

#include <array>

#include "kernels/matmul/constant_cache.h"

namespace g2s::kernels {
namespace {

constexpr std::int64_t few_columns = 4;  // outputs for which dot products beat a mostly empty vector of columns
constexpr std::int64_t few_pixels = 16;  // rows for which packing the weight costs more than it saves
constexpr std::int64_t wide_enough = 8;  // elements that make a dot product worth its final sum

// [n, taps, k], for few n.
Tensor gather_rows(const WeightView& view) {
  Tensor rows = Tensor::empty({view.n, static_cast<std::int64_t>(view.tap_offsets.size()), view.k});
  float* to = rows.mutable_data<float>();
  for (std::int64_t n = 0; n < view.n; ++n)
    for (std::int64_t offset : view.tap_offsets)
      for (std::int64_t k = 0; k < view.k; ++k) *to++ = view.data[offset + k * view.k_stride + n * view.n_stride];
  return rows;
}

}  // namespace

Tensor pack_weight(const WeightView& view) {
  const std::int64_t taps = static_cast<std::int64_t>(view.tap_offsets.size());
  Tensor packed = Tensor::empty({taps * view.k * padded_columns(view.n)});
  PackArgs p{};
  p.source = view.data;
  p.target = packed.mutable_data<float>();
  p.taps = taps;
  p.k = view.k;
  p.n = view.n;
  p.tap_offsets = view.tap_offsets.data();
  p.k_stride = view.k_stride;
  p.n_stride = view.n_stride;
  pack_panels(p);
  return packed;
}

PreparedWeight prepare_weight(const WeightView& view, std::int64_t pixels, const std::string& cache_key) {
  PreparedWeight p{{}, view.data, WeightLayout::panels, view.tap_offsets, 0};
  const std::int64_t taps = static_cast<std::int64_t>(view.tap_offsets.size());
  const bool k_contiguous = view.k_stride == 1;
  if (view.k >= wide_enough && view.n <= few_columns) {
    p.layout = WeightLayout::nk;
    p.stride = view.n_stride;
    if (k_contiguous) return p;
    p.made = cached_from_constant(view.owner, "rows " + cache_key, [&] { return gather_rows(view); });
    p.stride = taps * view.k;
    for (std::int64_t t = 0; t < taps; ++t) p.tap_offsets[static_cast<std::size_t>(t)] = t * view.k;
  } else if (view.k >= wide_enough && pixels <= few_pixels) {
    p.layout = k_contiguous ? WeightLayout::nk : WeightLayout::kn;
    p.stride = k_contiguous ? view.n_stride : view.k_stride;
    return p;
  } else {
    p.made = cached_from_constant(view.owner, "panels " + cache_key, [&] { return pack_weight(view); });
  }
  p.data = p.made.data<float>();
  return p;
}

const float* zeros_for(std::int64_t k, Tensor& holder) {
  static constexpr std::array<float, 4096> zeros{};
  if (static_cast<std::size_t>(k) <= zeros.size()) return zeros.data();
  holder = Tensor::zeros({k});
  return holder.data<float>();
}

}  // namespace g2s::kernels
