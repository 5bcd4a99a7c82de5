// Forward: vertices are projected once; then each band of sample rows draws the cells that reach into it. A block of neighbouring cells of a row is
// drawn together, one cell a lane, sample by sample of their bounding boxes; the few large cells are drawn one by one, one sample a lane. Which
// samples a triangle covers and how deep it is there never depends on the band, so neither does the image.
#include <cmath>
#include <cstring>

#include "engine/parallel.h"
#include "kernels/depth_mesh/depth_mesh_args.h"
#include "kernels/simd.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

template <class T>
inline int largest_lane(const IntVec<T>& v) {
  Int<T> out = v[0];
  for (int l = 1; l < lane_count<T>; ++l) out = v[l] > out ? v[l] : out;
  return static_cast<int>(out);
}

// Beyond this the conversion to integers and the precision of float end; nothing so far away is drawn.
constexpr double screen_limit = 1 << 20;

// Largest box (samples along an axis) that is drawn one cell a lane.
constexpr int small_box = 8;

// What x and y are multiplied with, z's inverse being `inv`: 1/(z + 1e-9), as the reference projects. In f32 it is the same; in f64 the
// difference moves positions a million times further than rounding does.
template <class T>
inline T across(T z, T inv) {
  return sizeof(T) == 8 ? T(1) / (z + T(1e-9)) : inv;
}

// Projects one row of vertices and notes its extent.
template <class T>
void project_row(const DepthMeshArgs<T>& a, std::int64_t row) {
  std::int64_t b = row / a.height, y = row % a.height, plane = a.height * a.vertex_stride;
  const T* p = a.points + row * a.width * 3;
  T *sx = a.screen + b * 3 * plane + y * a.vertex_stride, *sy = sx + plane, *si = sy + plane;
  const T s = static_cast<T>(a.supersample), scale = s * a.focal, offset_x = s * a.cx - T(0.5), offset_y = s * a.cy - T(0.5);
  const T limit = static_cast<T>(screen_limit), nan = static_cast<T>(NAN);
  T low = static_cast<T>(INFINITY), high = -low;
#pragma omp simd reduction(min : low) reduction(max : high)
  for (std::int64_t x = 0; x < a.width; ++x) {
    T inv = T(1) / p[3 * x + 2], per_z = across(p[3 * x + 2], inv);
    // Rounded once, with and without fused multiply-adds: a rounding more decides which of two triangles some samples see.
    T u = static_cast<T>(double{p[3 * x] * per_z} * scale + offset_x), v = static_cast<T>(double{p[3 * x + 1] * per_z} * scale + offset_y);
    bool drawn = (p[3 * x + 2] > T(0)) & (inv <= limit) & (inv > T(0)) & (u > -limit) & (u < limit) & (v > -limit) & (v < limit);
    sx[x] = drawn ? u : nan;
    sy[x] = drawn ? v : nan;
    si[x] = drawn ? inv : nan;
    T lo = drawn ? v : limit, hi = drawn ? v : -limit;
    low = lo < low ? lo : low;
    high = hi > high ? hi : high;
  }
  for (std::int64_t x = a.width; x < a.vertex_stride; ++x) sx[x] = sy[x] = si[x] = nan;
  a.row_range[2 * row] = low;
  a.row_range[2 * row + 1] = high;
}

// One cell a lane, or one cell in every lane.
template <class T>
struct Cells {
  Vec<T> ax, ay, ai, bx, by, bi, cx, cy, ci, dx, dy, di;  // screen x, y and 1/z of the four corners
  IntVec<T> number;                                       // y vertex_stride + x
};

template <class T>
inline void load_cells(const DepthMeshArgs<T>& a, const T* screen, std::int64_t number, Cells<T>& c) {
  std::int64_t plane = a.height * a.vertex_stride, below = a.vertex_stride;
  const T* p = screen + number;
  c.ax = load(p), c.bx = load(p + below), c.cx = load(p + 1), c.dx = load(p + below + 1);
  p += plane;
  c.ay = load(p), c.by = load(p + below), c.cy = load(p + 1), c.dy = load(p + below + 1);
  p += plane;
  c.ai = load(p), c.bi = load(p + below), c.ci = load(p + 1), c.di = load(p + below + 1);
  c.number = lane_numbers<Int<T>>() + static_cast<Int<T>>(number);
}

// The triangle of each cell that is in front at sample (x, y), and its depth; infinite where neither covers it.
// An edge is always taken in the same direction, so that its two triangles agree on which side a sample lies: together they leave no gap.
template <class T>
inline void front(const Cells<T>& c, const Vec<T>& x, const Vec<T>& y, T near, Vec<T>& depth, IntVec<T>& triangle) {
  using V = Vec<T>;
  using I = IntVec<T>;
  V ax = c.ax - x, ay = c.ay - y, bx = c.bx - x, by = c.by - y, cx = c.cx - x, cy = c.cy - y, dx = c.dx - x, dy = c.dy - y;
  V ab = ax * by - bx * ay, bc = bx * cy - cx * by, ac = ax * cy - cx * ay, bd = bx * dy - dx * by, cd = cx * dy - dx * cy;
  const V zero = {}, far_away = splat(static_cast<T>(INFINITY));
  I upper = ((bc >= zero) & (ac <= zero) & (ab >= zero)) | ((bc <= zero) & (ac >= zero) & (ab <= zero));
  I lower = ((bc <= zero) & (bd >= zero) & (cd <= zero)) | ((bc >= zero) & (bd <= zero) & (cd >= zero));
  // Barycentric weights are bc, -ac, ab of a, b, c, and -bc, bd, -cd of d, c, b, over their sum (twice the area, negative from the front).
  V upper_area = bc - ac + ab, lower_area = bd - bc - cd;
  V upper_z = upper_area / (bc * c.ai - ac * c.bi + ab * c.ci), lower_z = lower_area / (bd * c.ci - bc * c.di - cd * c.bi);
  upper_z = (upper & (upper_z > near)) ? upper_z : far_away;
  lower_z = (lower & (lower_z > near)) ? lower_z : far_away;
  constexpr Int<T> one = Int<T>{1} << mesh_kind_shift;
  I upper_triangle = c.number + ((upper_area > zero) & (2 * one)), lower_triangle = c.number + one + ((lower_area > zero) & (2 * one));
  I take_lower = (lower_z < upper_z) | ((lower_z == upper_z) & (lower_triangle < upper_triangle));
  depth = take_lower ? lower_z : upper_z;
  triangle = take_lower ? lower_triangle : upper_triangle;
}

// Sample rows [begin, end) of one image.
template <class T>
struct Band {
  const T* screen;
  T* depth;               // of row `begin`
  std::int32_t* samples;  // of row `begin`
  std::int64_t begin, end;
};

template <class T>
inline Vec<T> min_of(const Vec<T>& low, const Vec<T>& v) { return v < low ? v : low; }  // ignores a NaN v
template <class T>
inline Vec<T> max_of(const Vec<T>& high, const Vec<T>& v) { return v > high ? v : high; }

// Samples that the bounding box of a cell contains: from `first` on, `count` of them, within [begin, end).
template <class T>
inline void span(const Vec<T>& p, const Vec<T>& q, const Vec<T>& r, const Vec<T>& s, Int<T> begin, Int<T> end, IntVec<T>& first, IntVec<T>& count) {
  using V = Vec<T>;
  using I = IntVec<T>;
  const V limit = splat(static_cast<T>(screen_limit));
  V low = min_of<T>(min_of<T>(min_of<T>(min_of<T>(limit, p), q), r), s), high = max_of<T>(max_of<T>(max_of<T>(max_of<T>(-limit, p), q), r), s);
  I lo = __builtin_convertvector(low, I), hi = __builtin_convertvector(high, I);  // towards zero
  lo -= __builtin_convertvector(lo, V) < low;                                     // up: a true comparison is -1
  hi += __builtin_convertvector(hi, V) > high;                                    // down
  I none = {};
  lo = lo < begin ? none + begin : lo;
  hi = hi >= end ? none + (end - 1) : hi;
  first = lo;
  count = hi - lo + 1;
  count = count > 0 ? count : none;
}

template <class T>
void draw_large_cell(const DepthMeshArgs<T>& a, const Band<T>& band, std::int64_t number, Int<T> x_first, Int<T> x_count, Int<T> y_first, Int<T> y_count) {
  using V = Vec<T>;
  using I = IntVec<T>;
  std::int64_t plane = a.height * a.vertex_stride, below = a.vertex_stride;
  const T *sx = band.screen + number, *sy = sx + plane, *si = sy + plane;
  Cells<T> c;
  c.ax = splat(sx[0]), c.bx = splat(sx[below]), c.cx = splat(sx[1]), c.dx = splat(sx[below + 1]);
  c.ay = splat(sy[0]), c.by = splat(sy[below]), c.cy = splat(sy[1]), c.dy = splat(sy[below + 1]);
  c.ai = splat(si[0]), c.bi = splat(si[below]), c.ci = splat(si[1]), c.di = splat(si[below + 1]);
  c.number = I{} + static_cast<Int<T>>(number);
  using Stored = Vec<std::int32_t, lane_count<T>>;
  for (Int<T> y = y_first; y < y_first + y_count; ++y) {
    T* row = band.depth + (y - band.begin) * a.sample_stride;
    std::int32_t* seen = band.samples + (y - band.begin) * a.sample_stride;
    for (Int<T> x = x_first; x < x_first + x_count; x += lane_count<T>) {
      I at = lane_numbers<Int<T>>() + x;
      V depth, old = load(row + x);
      I triangle;
      Stored stored;
      front<T>(c, __builtin_convertvector(at, V), splat(static_cast<T>(y)), a.near, depth, triangle);
      std::memcpy(&stored, seen + x, sizeof stored);
      I before = __builtin_convertvector(stored, I);
      I better = ((depth < old) | ((depth == old) & (triangle < before))) & (at < x_first + x_count);
      store(row + x, better ? depth : old);
      stored = __builtin_convertvector(better ? triangle : before, Stored);
      std::memcpy(seen + x, &stored, sizeof stored);
    }
  }
}

// Draws the small ones of a block of cells, boxes of at most `width` x `height` samples.
template <class T>
inline void draw_small_cells(const DepthMeshArgs<T>& a, const Band<T>& band, const Cells<T>& c, const IntVec<T>& x_first, const IntVec<T>& x_count,
                             const IntVec<T>& y_first, const IntVec<T>& y_count, int width, int height) {
  using V = Vec<T>;
  using I = IntVec<T>;
  const V far_away = splat(static_cast<T>(INFINITY)), x0 = __builtin_convertvector(x_first, V), y0 = __builtin_convertvector(y_first, V);
  const I base = (y_first - static_cast<Int<T>>(band.begin)) * static_cast<Int<T>>(a.sample_stride) + x_first;
  alignas(64) Int<T> at[lane_count<T>];
  store(at, base);
  for (int oy = 0; oy < height; ++oy)
    for (int ox = 0; ox < width; ++ox) {
      V depth;
      I triangle;
      front<T>(c, x0 + static_cast<T>(ox), y0 + static_cast<T>(oy), a.near, depth, triangle);
      unsigned covered = lane_bits((x_count > ox) & (y_count > oy) & (depth < far_away));
      alignas(64) T z[lane_count<T>];
      alignas(64) Int<T> t[lane_count<T>];
      store(z, depth);
      store(t, triangle);
      T* depth_at = band.depth + oy * a.sample_stride + ox;
      std::int32_t* samples_at = band.samples + oy * a.sample_stride + ox;
      for (; covered; covered &= covered - 1) {
        int l = __builtin_ctz(covered);
        T old = depth_at[at[l]];
        std::int32_t before = samples_at[at[l]], now = static_cast<std::int32_t>(t[l]);
        bool better = (z[l] < old) | ((z[l] == old) & (now < before));
        depth_at[at[l]] = better ? z[l] : old;
        samples_at[at[l]] = better ? now : before;
      }
    }
}

template <class T>
void draw_row_of_cells(const DepthMeshArgs<T>& a, const Band<T>& band, std::int64_t y) {
  using I = IntVec<T>;
  const Int<T> width = static_cast<Int<T>>(a.width * a.supersample), begin = static_cast<Int<T>>(band.begin), end = static_cast<Int<T>>(band.end);
  const Int<T> height = static_cast<Int<T>>(a.height * a.supersample);
  for (std::int64_t x = 0; x < a.width - 1; x += lane_count<T>) {
    std::int64_t number = y * a.vertex_stride + x;
    Cells<T> c;
    load_cells(a, band.screen, number, c);
    I x_first, x_count, y_first, y_count, y_whole_first, y_whole;
    span<T>(c.ax, c.bx, c.cx, c.dx, 0, width, x_first, x_count);
    span<T>(c.ay, c.by, c.cy, c.dy, 0, height, y_whole_first, y_whole);
    span<T>(c.ay, c.by, c.cy, c.dy, begin, end, y_first, y_count);
    I visible = (x_count > 0) & (y_count > 0);
    I small = visible & (x_count <= small_box) & (y_whole <= small_box);
    unsigned large = lane_bits(visible & ~small);
    if (lane_bits(small)) {
      const I zero = {}, w = small ? x_count : zero, h = small ? y_count : zero;
      draw_small_cells(a, band, c, x_first, w, y_first, h, largest_lane<T>(w), largest_lane<T>(h));
    }
    for (; large; large &= large - 1) {
      int l = __builtin_ctz(large);
      draw_large_cell(a, band, number + l, x_first[l], x_count[l], y_first[l], y_count[l]);
    }
  }
}

// Averages the samples of each pixel. Those of a clamped pixel are forgotten, as they have no gradient.
template <int S, class T>
void resolve(const DepthMeshArgs<T>& a, const Band<T>& band, T* depth) {
  const std::int64_t s = S ? S : a.supersample;
  const T scale = T(1) / static_cast<T>(s * s);
  for (std::int64_t y = band.begin / s; y < band.end / s; ++y) {
    const T* row = band.depth + (y * s - band.begin) * a.sample_stride;
    std::int32_t* seen = band.samples + (y * s - band.begin) * a.sample_stride;
    T* out = depth + y * a.width;
    for (std::int64_t x = 0; x < a.width; ++x) {
      T total = 0;
      for (std::int64_t i = 0; i < s; ++i)
        for (std::int64_t j = 0; j < s; ++j) total += row[i * a.sample_stride + x * s + j];
      T mean = total * scale;
      out[x] = mean < a.clamp_lo ? a.clamp_lo : mean > a.clamp_hi ? a.clamp_hi : mean;
      if (mean >= a.clamp_lo && mean <= a.clamp_hi) continue;
      for (std::int64_t i = 0; i < s; ++i)
        for (std::int64_t j = 0; j < s; ++j) seen[i * a.sample_stride + x * s + j] = -1;
    }
  }
}

template <class T>
void draw_band(const DepthMeshArgs<T>& a, std::int64_t b, std::int64_t index) {
  std::int64_t s = a.supersample, first = a.height * index / a.bands * s, last = a.height * (index + 1) / a.bands * s;
  std::int64_t offset = (b * a.height * s + first) * a.sample_stride;
  Band<T> band{a.screen + b * 3 * a.height * a.vertex_stride, a.sample_depth + offset, a.samples + offset, first, last};
  for (std::int64_t i = 0; i < (last - first) * a.sample_stride; ++i) {
    band.depth[i] = a.far;
    band.samples[i] = -1;
  }
  const T* range = a.row_range + 2 * b * a.height;
  T top = static_cast<T>(first), bottom = static_cast<T>(last - 1);
  for (std::int64_t y = 0; y < a.height - 1; ++y) {
    bool above = range[2 * y + 1] < top && range[2 * y + 3] < top, below = range[2 * y] > bottom && range[2 * y + 2] > bottom;
    if (!above && !below) draw_row_of_cells(a, band, y);
  }
  T* depth = a.depth + b * a.height * a.width;
  if (s == 2) resolve<2>(a, band, depth);
  else resolve<0>(a, band, depth);
}

template <class T>
void draw(const DepthMeshArgs<T>& a) {
  std::int64_t rows = 8192 / a.width;
  parallel_blocks(a.batch * a.height, rows > 0 ? rows : 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) project_row(a, row);
  });
  parallel_for(a.batch * a.bands, [&](std::int64_t piece) { draw_band(a, piece / a.bands, piece % a.bands); });
}

// What one sample gives to the vertices of its triangle: weight times (x, y, i).
template <class T>
struct Shares {
  Vec<T> weight[3];  // of corner a (or d), b, c
  Vec<T> x, y, i;    // gradient to screen x, y and 1/z of the plane through the triangle
};

// With 1/z = sum w_k i_k: d(1/z)/d i_k = w_k, and moving vertex k by (dx, dy) moves the plane against the sample by w_k times that.
template <class T>
inline void shares_of(const Vec<T> (&p)[9], const Vec<T>& x, const Vec<T>& y, const Vec<T>& gradient, Shares<T>& out) {
  using V = Vec<T>;
  V ax = p[0] - x, ay = p[1] - y, bx = p[3] - x, by = p[4] - y, cx = p[6] - x, cy = p[7] - y;
  V wa = bx * cy - cx * by, wb = cx * ay - ax * cy, wc = ax * by - bx * ay;
  V inv_area = T(1) / (wa + wb + wc);
  wa *= inv_area, wb *= inv_area, wc *= inv_area;
  V z = T(1) / (wa * p[2] + wb * p[5] + wc * p[8]), g = gradient * z * z;
  out.weight[0] = wa, out.weight[1] = wb, out.weight[2] = wc;
  out.x = g * inv_area * (p[2] * (by - cy) + p[5] * (cy - ay) + p[8] * (ay - by));
  out.y = g * inv_area * (p[2] * (cx - bx) + p[5] * (ax - cx) + p[8] * (bx - ax));
  out.i = -g;
}

// One row of samples: adds to the vertices in the order of the samples.
template <int S, class T>
void gather_row(const DepthMeshArgs<T>& a, const T* screen, const std::int32_t* samples, const T* ddepth, std::int64_t y, T* gather) {
  constexpr std::int32_t number_mask = (std::int32_t{1} << mesh_kind_shift) - 1;
  const std::int64_t s = S ? S : a.supersample, plane = a.height * a.vertex_stride;
  const std::int32_t stride = static_cast<std::int32_t>(a.vertex_stride);
  const T scale = T(1) / static_cast<T>(s * s);
  for (std::int64_t x = 0; x < a.width * s; x += lane_count<T>) {
    std::int32_t corner[3][lane_count<T>];
    alignas(64) T values[9][lane_count<T>], gradient[lane_count<T>];
    bool any = false;
    for (int l = 0; l < lane_count<T>; ++l) {
      std::int32_t t = samples[x + l];
      bool seen = t >= 0 && x + l < a.width * s;
      any |= seen;
      std::int32_t number = seen ? t & number_mask : 0;
      corner[0][l] = number + (seen && (t >> mesh_kind_shift & 1) ? stride + 1 : 0);
      corner[1][l] = number + stride;
      corner[2][l] = number + 1;
      gradient[l] = seen ? ddepth[static_cast<std::uint64_t>(x + l) / static_cast<std::uint64_t>(s)] * scale : T(0);
    }
    if (!any) continue;
    for (int k = 0; k < 9; ++k)
      for (int l = 0; l < lane_count<T>; ++l) values[k][l] = screen[k % 3 * plane + corner[k / 3][l]];
    Vec<T> p[9];
    for (int k = 0; k < 9; ++k) p[k] = load(values[k]);
    Shares<T> shares;
    shares_of<T>(p, __builtin_convertvector(lane_numbers<Int<T>>() + static_cast<Int<T>>(x), Vec<T>), splat(static_cast<T>(y)), load(gradient), shares);
    for (int l = 0; l < lane_count<T>; ++l) {
      if (samples[x + l] < 0 || x + l >= a.width * s) continue;
      Vec<T, 4> share = {shares.x[l], shares.y[l], shares.i[l], T(0)}, sum;
      for (int k = 0; k < 3; ++k) {
        T* at = gather + 4 * static_cast<std::int64_t>(corner[k][l]);
        std::memcpy(&sum, at, sizeof sum);
        sum += shares.weight[k][l] * share;
        std::memcpy(at, &sum, sizeof sum);
      }
    }
  }
}

template <class T>
void gather_band(const DepthMeshArgs<T>& a, std::int64_t b, std::int64_t index) {
  std::int64_t s = a.supersample, first = a.height * index / a.bands, last = a.height * (index + 1) / a.bands;
  const std::int32_t* samples = a.samples + b * a.height * s * a.sample_stride;
  constexpr std::int32_t number_mask = (std::int32_t{1} << mesh_kind_shift) - 1;
  std::int32_t low = number_mask, high = -1;
  for (std::int64_t y = first * s; y < last * s; ++y)
    for (std::int64_t x = 0; x < a.width * s; ++x) {
      std::int32_t t = samples[y * a.sample_stride + x], number = t & number_mask;  // of -1: the largest
      low = number < low ? number : low;
      number = t < 0 ? -1 : number;
      high = number > high ? number : high;
    }
  std::int64_t* range = a.gather_range + 2 * (b * a.bands + index);
  range[0] = high < 0 ? 0 : low / a.vertex_stride;
  range[1] = high < 0 ? 0 : high / a.vertex_stride + 2;
  T* gather = a.gather + (b * a.bands + index) * a.height * a.vertex_stride * 4;
  std::int64_t row = a.vertex_stride * 4;
  if (range[1] > range[0]) std::memset(gather + range[0] * row, 0, static_cast<std::size_t>((range[1] - range[0]) * row) * sizeof(T));
  const T* screen = a.screen + b * 3 * a.height * a.vertex_stride;
  for (std::int64_t y = first * s; y < last * s; ++y) {
    const T* ddepth = a.ddepth + (b * a.height + y / s) * a.width;
    if (s == 2) gather_row<2>(a, screen, samples + y * a.sample_stride, ddepth, y, gather);
    else gather_row<0>(a, screen, samples + y * a.sample_stride, ddepth, y, gather);
  }
}

// Sums the bands and goes back through the projection, one row of vertices.
template <class T>
void finish_row(const DepthMeshArgs<T>& a, std::int64_t row) {
  std::int64_t b = row / a.height, y = row % a.height, plane = a.height * a.vertex_stride;
  const T* p = a.points + row * a.width * 3;
  const T* inverse = a.screen + b * 3 * plane + 2 * plane + y * a.vertex_stride;
  T* out = a.dpoints + row * a.width * 3;
  const T scale = static_cast<T>(a.supersample) * a.focal;
  for (std::int64_t i = 0; i < a.width * 3; ++i) out[i] = 0;
  for (std::int64_t band = 0; band < a.bands; ++band) {
    const std::int64_t* range = a.gather_range + 2 * (b * a.bands + band);
    if (y < range[0] || y >= range[1]) continue;
    const T* g = a.gather + ((b * a.bands + band) * plane + y * a.vertex_stride) * 4;
    for (std::int64_t x = 0; x < a.width; ++x)
      for (int k = 0; k < 3; ++k) out[3 * x + k] += g[4 * x + k];
  }
  for (std::int64_t x = 0; x < a.width; ++x) {
    T inv = inverse[x];
    if (!(inv > T(0))) continue;  // never drawn: zero
    T per_z = across(p[3 * x + 2], inv), gx = out[3 * x] * scale * per_z, gy = out[3 * x + 1] * scale * per_z, gi = out[3 * x + 2];
    out[3 * x] = gx;
    out[3 * x + 1] = gy;
    out[3 * x + 2] = -(gx * p[3 * x] + gy * p[3 * x + 1]) * per_z - gi * inv * inv;
  }
}

template <class T>
void draw_backward(const DepthMeshArgs<T>& a) {
  parallel_for(a.batch * a.bands, [&](std::int64_t piece) { gather_band(a, piece / a.bands, piece % a.bands); });
  std::int64_t rows = 8192 / a.width;
  parallel_blocks(a.batch * a.height, rows > 0 ? rows : 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) finish_row(a, row);
  });
}

}  // namespace

G2S_REAL_ENTRY(depth_mesh_kernel_cpu, DepthMeshArgs, draw)
G2S_REAL_ENTRY(depth_mesh_backward_kernel_cpu, DepthMeshArgs, draw_backward)

}  // namespace g2s::kernels::G2S_ISA
