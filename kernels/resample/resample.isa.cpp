// Vertical first: the rows of one output row are combined into a tile that stays in the L1 cache, and the outputs are taken from that.
// The first half runs along whole rows and the second along channels, whatever the tables are.
#include "engine/parallel.h"
#include "kernels/resample/resample_args.h"
#include "kernels/sizes.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

using std::int64_t;

constexpr int64_t tile_elements = 4096;
constexpr int64_t channel_block = 256;  // long runs of memory matter more than columns shared by tiles
constexpr int64_t piece_elements = 32768;

// v[i] = (add: v[i] +) sum over N inputs `step` elements apart, each times its weight.
template <int N, bool Add, class T>
inline void weighted_sum(const T* x, int64_t step, const T* w, T* v, int64_t n) {
  const T w0 = w[0], w1 = N > 1 ? w[1] : T(0), w2 = N > 2 ? w[2] : T(0), w3 = N > 3 ? w[3] : T(0);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    T s = w0 * x[i];
    if constexpr (N > 1) s += w1 * x[i + step];
    if constexpr (N > 2) s += w2 * x[i + 2 * step];
    if constexpr (N > 3) s += w3 * x[i + 3 * step];
    if constexpr (Add) v[i] += s;
    else v[i] = s;
  }
}

template <bool Add, class T>
inline void weighted_sum(int64_t count, const T* x, int64_t step, const T* w, T* v, int64_t n) {
  switch (count) {
    case 1: return weighted_sum<1, Add>(x, step, w, v, n);
    case 2: return weighted_sum<2, Add>(x, step, w, v, n);
    case 3: return weighted_sum<3, Add>(x, step, w, v, n);
    default: return weighted_sum<4, Add>(x, step, w, v, n);
  }
}

// Any number of inputs, four at a time; `add` says whether v holds a beginning already.
template <class T>
inline void combine(int64_t count, const T* x, int64_t step, const T* w, T* v, int64_t n, bool add = false) {
  if (count == 0 && !add) {
    for (int64_t i = 0; i < n; ++i) v[i] = 0;
    return;
  }
  for (int64_t j = 0; j < count; j += 4, add = true) {
    if (add) weighted_sum<true>(min(4, count - j), x + j * step, step, w + j, v, n);
    else weighted_sum<false>(min(4, count - j), x + j * step, step, w + j, v, n);
  }
}

// One output row and one block of channels.
template <class T>
struct Row {
  const ResampleArgs<T>& a;
  const T* x;       // first row that is read, at the first channel of the block
  T* y;             // output row, at the first channel of the block
  int64_t block;    // channels in the block
  const T* weight;  // of the rows
  int64_t count;    // number of rows

  // Input columns [lo, hi) of the combined row.
  void vertical(int64_t lo, int64_t hi, T* v) const {
    const int64_t stride = a.cols.in * a.channels;
    if (block == a.channels) return combine(count, x + lo * a.channels, stride, weight, v, (hi - lo) * block);
    for (int64_t col = lo; col < hi; ++col) combine(count, x + col * a.channels, stride, weight, v + (col - lo) * block, block);
  }

  // Output columns [begin, end) from a tile that starts at input column lo.
  void horizontal(int64_t begin, int64_t end, int64_t lo, const T* v) const {
    for (int64_t o = begin; o < end; ++o)
      combine(a.cols.count[o], v + (a.cols.start[o] - lo) * block, block, a.cols.weight + o * a.cols.taps, y + o * a.channels, block);
  }

  void horizontal_flat(int64_t begin, int64_t end, int64_t lo, const T* v) const {
    const int64_t n = a.cols.out * a.channels, taps = a.cols.taps, channels = a.channels;
    const std::int32_t base = static_cast<std::int32_t>(lo * channels), step = static_cast<std::int32_t>(channels);
    const std::int32_t* index = a.flat_index;
    const int64_t first = begin * channels, last = end * channels;
    for (int64_t j = 0; j < taps; ++j) {
      const T* w = a.flat_weight + j * n;
      const T* source = v + j * step;
      if (j == 0) {
#pragma omp simd
        for (int64_t f = first; f < last; ++f) y[f] = w[f] * source[index[f] - base];
      } else {
#pragma omp simd
        for (int64_t f = first; f < last; ++f) y[f] += w[f] * source[index[f] - base];
      }
    }
  }

  // An output wider than a tile: its inputs in portions.
  void wide(int64_t o, T* v) const {
    const int64_t portion = tile_elements / block, begin = a.cols.start[o], end = begin + a.cols.count[o];
    if (begin == end) combine(0, v, block, v, y + o * a.channels, block);
    for (int64_t lo = begin; lo < end; lo += portion) {
      const int64_t hi = min(lo + portion, end);
      vertical(lo, hi, v);
      combine(hi - lo, v, block, a.cols.weight + o * a.cols.taps + (lo - begin), y + o * a.channels, block, lo > begin);
    }
  }

  int64_t first_of(int64_t o) const { return a.flat_index ? a.flat_index[o * a.channels] / a.channels : a.cols.start[o]; }
  int64_t last_of(int64_t o) const { return a.flat_index ? first_of(o) + a.cols.taps : a.cols.start[o] + a.cols.count[o]; }

  void run() const {
    alignas(64) T v[tile_elements];
    for (int64_t begin = 0; begin < a.cols.out;) {
      int64_t lo = first_of(begin), hi = last_of(begin), end = begin + 1;
      if ((hi - lo) * block > tile_elements) {
        wide(begin++, v);
        continue;
      }
      for (; end < a.cols.out; ++end) {
        const int64_t new_lo = min(lo, first_of(end)), new_hi = max(hi, last_of(end));
        if ((new_hi - new_lo) * block > tile_elements) break;
        lo = new_lo, hi = new_hi;
      }
      vertical(lo, hi, v);
      if (a.flat_index) horizontal_flat(begin, end, lo, v);
      else horizontal(begin, end, lo, v);
      begin = end;
    }
  }
};

template <class T>
void resample(const ResampleArgs<T>& a) {
  const int64_t blocks = (a.channels + channel_block - 1) / channel_block, units = a.batch * a.rows.out * blocks;
  const int64_t work = min(channel_block, a.channels) * max(a.cols.in * a.rows.taps, a.cols.out * a.cols.taps);
  parallel_blocks(units, max(1, piece_elements / max(work, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t c = unit % blocks * channel_block, line = unit / blocks, b = line / a.rows.out, o = line % a.rows.out;
      const T* x = a.x + (b * a.rows.in + a.rows.start[o]) * a.cols.in * a.channels + c;
      T* y = a.y + line * a.cols.out * a.channels + c;
      Row<T>{a, x, y, min(channel_block, a.channels - c), a.rows.weight + o * a.rows.taps, a.rows.count[o]}.run();
    }
  });
}

}  // namespace

G2S_REAL_ENTRY(resample_cpu, ResampleArgs, resample)

}  // namespace g2s::kernels::G2S_ISA
