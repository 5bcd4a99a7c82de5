// Bound by memory. The three high bands of a channel lie beside each other: vectors of channels are sorted into bands in registers.
#include "engine/parallel.h"
#include "kernels/haar/haar_args.h"
#include "kernels/parts.isa.h"
#include "kernels/simd.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

using std::int64_t;

// The four bands of channels, or the four pixels that they make: the step is the same both ways.
template <class V>
struct Four { V v[4]; };

template <class V>
inline Four<V> haar(const Four<V>& f) {
  const V a = f.v[0] + f.v[1], b = f.v[2] + f.v[3], c = f.v[0] - f.v[1], d = f.v[2] - f.v[3];
  const auto half = decltype(a + b){} + 1 / 2.0f;
  return {{half * (a + b), half * (a - b), half * (c + d), half * (c - d)}};
}

// Of three vectors that hold triples: the numbers of each place in the triple.
template <class T, int... l>
inline void sort_triples(Vec<T> (&v)[3], std::integer_sequence<int, l...>) {
  constexpr int n = lane_count<T>;
  Vec<T> out[3];
#pragma GCC unroll 3
  for (int band = 0; band < 3; ++band) {
    // Element 3 l + band of the 3 n: first what the first two vectors hold of them, then what the third adds.
    const IntVec<T> early = {Int<T>(3 * l + band < 2 * n ? 3 * l + band : 0)...};
    const IntVec<T> late = {Int<T>(3 * l + band < 2 * n ? l : 3 * l + band - n)...};
    out[band] = shuffle(shuffle(v[0], v[1], early), v[2], late);
  }
  for (int band = 0; band < 3; ++band) v[band] = out[band];
}

// The way back.
template <class T, int... l>
inline void make_triples(Vec<T> (&v)[3], std::integer_sequence<int, l...>) {
  constexpr int n = lane_count<T>;
  Vec<T> out[3];
#pragma GCC unroll 3
  for (int part = 0; part < 3; ++part) {
    const IntVec<T> first = {Int<T>((part * n + l) % 3 < 2 ? (part * n + l) % 3 * n + (part * n + l) / 3 : 0)...};
    const IntVec<T> last = {Int<T>((part * n + l) % 3 < 2 ? l : n + (part * n + l) / 3)...};
    out[part] = shuffle(shuffle(v[0], v[1], first), v[2], last);
  }
  for (int part = 0; part < 3; ++part) v[part] = out[part];
}

template <class T>
constexpr auto all_lanes = std::make_integer_sequence<int, lane_count<T>>{};

// Where one pixel of bands and its four pixels lie. Without a style it is 1.
template <bool Styled, class T>
inline void synthesize(const T* x, const T* style, T* upper, T* lower, int64_t channels) {
  auto band = [&](int64_t k) { return Styled ? load(x + k) * load(style + k) : load(x + k); };
  int64_t c = 0;
  for (; c + lane_count<T> <= channels; c += lane_count<T>) {
    Vec<T> high[3];
    for (int i = 0; i < 3; ++i) high[i] = band(channels + 3 * c + i * lane_count<T>);
    sort_triples<T>(high, all_lanes<T>);
    const Four<Vec<T>> y = haar(Four<Vec<T>>{{band(c), high[0], high[1], high[2]}});
    store(upper + c, y.v[0]);
    store(upper + channels + c, y.v[1]);
    store(lower + c, y.v[2]);
    store(lower + channels + c, y.v[3]);
  }
  auto single = [&](int64_t k) { return Styled ? x[k] * style[k] : x[k]; };
  for (; c < channels; ++c) {
    const int64_t high = channels + 3 * c;
    const Four<T> y = haar(Four<T>{{single(c), single(high), single(high + 1), single(high + 2)}});
    upper[c] = y.v[0];
    upper[channels + c] = y.v[1];
    lower[c] = y.v[2];
    lower[channels + c] = y.v[3];
  }
}

template <bool Styled, class T>
void synthesis(const HaarSynthesisArgs<T>& a) {
  const int64_t piece = haar_piece_rows(a.columns, a.channels), bands = 4 * a.channels;
  parallel_blocks(a.batch * a.rows, piece, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T *x = a.x + row * a.columns * bands, *style = Styled ? a.style + row / a.rows * bands : nullptr;
      T *upper = a.y + 4 * row * a.columns * a.channels, *lower = upper + 2 * a.columns * a.channels;
      for (int64_t column = 0; column < a.columns; ++column)
        synthesize<Styled>(x + column * bands, style, upper + 2 * column * a.channels, lower + 2 * column * a.channels, a.channels);
    }
  });
}

// What becomes of bands d: d or style d, and sums that grow by x d.
template <bool Styled, bool ToBands, bool ToStyle, class T>
struct Bands {
  const T *x, *style;
  T *bands, *sums;

  void take(int64_t k, Vec<T> d) const {
    if constexpr (ToStyle) store(sums + k, load(sums + k) + load(x + k) * d);
    if constexpr (ToBands) store(bands + k, Styled ? d * load(style + k) : d);
  }
  void take(int64_t k, T d) const {
    if constexpr (ToStyle) sums[k] += x[k] * d;
    if constexpr (ToBands) bands[k] = Styled ? d * style[k] : d;
  }
};

template <class Out, class T>
inline void analyse(const T* upper, const T* lower, const Out& out, int64_t channels) {
  int64_t c = 0;
  for (; c + lane_count<T> <= channels; c += lane_count<T>) {
    const Four<Vec<T>> bands =
        haar(Four<Vec<T>>{{load(upper + c), load(upper + channels + c), load(lower + c), load(lower + channels + c)}});
    Vec<T> high[3] = {bands.v[1], bands.v[2], bands.v[3]};
    make_triples<T>(high, all_lanes<T>);
    out.take(c, bands.v[0]);
    for (int i = 0; i < 3; ++i) out.take(channels + 3 * c + i * lane_count<T>, high[i]);
  }
  for (; c < channels; ++c) {
    const Four<T> bands = haar(Four<T>{{upper[c], upper[channels + c], lower[c], lower[channels + c]}});
    const int64_t high = channels + 3 * c;
    out.take(c, bands.v[0]);
    for (int i = 0; i < 3; ++i) out.take(high + i, bands.v[i + 1]);
  }
}

template <bool Styled, bool ToBands, bool ToStyle, class T>
void analysis(const HaarAnalysisArgs<T>& a) {
  const int64_t rows = haar_piece_rows(a.columns, a.channels), pieces = haar_pieces(a.rows, a.columns, a.channels), bands = 4 * a.channels;
  parallel_for(a.batch * pieces, [&](int64_t piece) {
    const int64_t b = piece / pieces, begin = piece % pieces * rows, end = min(begin + rows, a.rows);
    T* sums = ToStyle ? a.partial + piece * bands : nullptr;
    if constexpr (ToStyle)
      for (int64_t k = 0; k < bands; ++k) sums[k] = 0;
    for (int64_t row = b * a.rows + begin; row < b * a.rows + end; ++row) {
      const T *upper = a.y + 4 * row * a.columns * a.channels, *lower = upper + 2 * a.columns * a.channels;
      for (int64_t column = 0; column < a.columns; ++column) {
        const int64_t at = (row * a.columns + column) * bands;
        const Bands<Styled, ToBands, ToStyle, T> out{ToStyle ? a.x + at : nullptr, Styled ? a.style + b * bands : nullptr,
                                                     ToBands ? a.bands + at : nullptr, sums};
        analyse(upper + 2 * column * a.channels, lower + 2 * column * a.channels, out, a.channels);
      }
    }
  });
  for (int64_t b = 0; ToStyle && b < a.batch; ++b) add_parts(a.partial + b * pieces * bands, pieces, bands, a.dstyle + b * bands);
}

template <class T>
void synthesize(const HaarSynthesisArgs<T>& a) {
  if (a.style) synthesis<true>(a);
  else synthesis<false>(a);
}

template <class T>
void analyse(const HaarAnalysisArgs<T>& a) {
  if (!a.style) analysis<false, true, false>(a);
  else if (a.bands && a.dstyle) analysis<true, true, true>(a);
  else if (a.bands) analysis<true, true, false>(a);
  else analysis<true, false, true>(a);
}

}  // namespace

G2S_REAL_ENTRY(haar_synthesis_cpu, HaarSynthesisArgs, synthesize)
G2S_REAL_ENTRY(haar_analysis_cpu, HaarAnalysisArgs, analyse)

}  // namespace g2s::kernels::G2S_ISA
