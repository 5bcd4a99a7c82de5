// Weights into panels.
#include "engine/parallel.h"
#include "kernels/matmul/gemm_args.h"
#include "kernels/matmul/micro.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

// `columns` columns that lie contiguous in the source.
void copy_panel(const PackArgs& a, const float* source, float* target, int columns) {
  for (std::int64_t k = 0; k < a.k; ++k) {
    const float* from = source + k * a.k_stride;
    float* to = target + k * panel;
    for (int v = 0; v < tile_vectors; ++v) {
      int count = columns - v * lanes;
      store(to + v * lanes, count >= lanes ? load(from + v * lanes) : load_first(from + v * lanes, count > 0 ? count : 0));
    }
  }
}

// Columns whose k elements lie contiguous in the source.
void transpose_panel(const PackArgs& a, const float* source, float* target, int columns) {
  for (std::int64_t k = 0; k < a.k; k += lanes) {
    const int count = static_cast<int>(a.k - k < lanes ? a.k - k : lanes);
    for (int v = 0; v < tile_vectors; ++v) {
      VecF rows[lanes];
      for (int i = 0; i < lanes; ++i) {
        const int column = v * lanes + i;
        const float* from = source + column * a.n_stride + k;
        rows[i] = column >= columns ? VecF{} : count == lanes ? load(from) : load_first(from, count);
      }
      transpose(rows);
      for (int i = 0; i < count; ++i) store(target + (k + i) * panel + v * lanes, rows[i]);
    }
  }
}

}  // namespace

void pack_panels(const PackArgs& a) {
  const std::int64_t panels = (a.n + panel - 1) / panel;
  parallel_for(panels * a.taps, [&](std::int64_t piece) {
    const std::int64_t p = piece / a.taps, tap = piece % a.taps;
    const float* source = a.source + a.tap_offsets[tap] + p * panel * a.n_stride;
    float* target = a.target + piece * a.k * panel;
    const int columns = static_cast<int>(a.n - p * panel < panel ? a.n - p * panel : panel);
    if (a.n_stride == 1) copy_panel(a, source, target, columns);
    else transpose_panel(a, source, target, columns);
  });
}

}  // namespace g2s::kernels::G2S_ISA
