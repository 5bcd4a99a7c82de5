// Forward: vertices are projected, then every cell of the grid of points is drawn by one thread, sample by sample of its bounding box, into a
// z-buffer of 64-bit numbers: the depth's bits above the triangle's number, of which the smallest stays, whatever the order. A last pass averages
// the samples. In f64 depth takes all 64 bits; the mesh is drawn a second time for the smallest triangle at the depth that stayed.
// Backward: every cell looks through its box again for samples that see its triangles and sums their shares for its four corners; then every
// vertex adds what the cells around it have for it. So no sum needs atomics, and all have a fixed order.
// Threads of a warp have neighbouring cells; large boxes are taken by the whole warp, one after the other.
#include <cmath>

#include "engine/cuda/launch.cuh"
#include "kernels/depth_mesh/depth_mesh_args.h"

namespace g2s::kernels {
namespace {

using std::int64_t;

constexpr unsigned threads = 128;
constexpr unsigned all_lanes = 0xffffffffu;
constexpr int small_box = 64;  // samples in a box that one thread takes

// Beyond this the conversion to integers and the precision of float end; nothing so far away is drawn.
constexpr double screen_limit = 1 << 20;

// Where the compiler may not choose whether to fuse multiplications and additions: two triangles must agree on which side of their edge a sample
// lies, two passes on how deep it is.
__device__ inline float times(float a, float b) { return __fmul_rn(a, b); }
__device__ inline double times(double a, double b) { return __dmul_rn(a, b); }

// Bits of a positive number, in its order.
__device__ inline unsigned long long bits(float v) { return __float_as_uint(v); }
__device__ inline unsigned long long bits(double v) { return static_cast<unsigned long long>(__double_as_longlong(v)); }

// What x and y are multiplied with, z's inverse being `inv`: see the CPU's kernel.
template <class T>
__device__ inline T across(T z, T inv) {
  return sizeof(T) == 8 ? T(1) / (z + T(1e-9)) : inv;
}

template <class T>
void project(const DepthMeshArgs<T>& a) {
  const T s = static_cast<T>(a.supersample), scale = s * a.focal, offset_x = s * a.cx - T(0.5), offset_y = s * a.cy - T(0.5);
  cuda::each("depth_mesh_project", a.batch * a.height * a.width, [=] __device__(int64_t i) {
    const int64_t row = i / a.width, x = i - row * a.width, b = row / a.height, y = row - b * a.height, plane = a.height * a.vertex_stride;
    const T* p = a.points + 3 * i;
    const T limit = static_cast<T>(screen_limit), nan = static_cast<T>(NAN);
    const T inv = T(1) / p[2], per_z = across(p[2], inv);
    // Fused, like the CPU's: a rounding less decides which of two triangles some samples see.
    const T u = std::fma(p[0] * per_z, scale, offset_x), v = std::fma(p[1] * per_z, scale, offset_y);
    const bool drawn = p[2] > T(0) && inv <= limit && inv > T(0) && u > -limit && u < limit && v > -limit && v < limit;
    T* out = a.screen + b * 3 * plane + y * a.vertex_stride + x;
    out[0] = drawn ? u : nan;
    out[plane] = drawn ? v : nan;
    out[2 * plane] = drawn ? inv : nan;
  });
}

template <class T>
struct Corner {
  T x, y, i;  // on the screen, and 1/z
};

template <class T>
struct Cell {
  Corner<T> a, b, c, d;
  int64_t image;
  std::int32_t number;  // y vertex_stride + x
};

template <class T>
__device__ inline int64_t cells_of(const DepthMeshArgs<T>& a) {
  return a.batch * (a.height - 1) * (a.width - 1);
}

template <class T>
__device__ inline Cell<T> cell_at(const DepthMeshArgs<T>& a, int64_t i) {
  const int64_t row = i / (a.width - 1), x = i - row * (a.width - 1), b = row / (a.height - 1), y = row - b * (a.height - 1);
  const int64_t plane = a.height * a.vertex_stride, number = y * a.vertex_stride + x;
  const T* p = a.screen + b * 3 * plane + number;
  auto corner = [&](int64_t at) { return Corner<T>{p[at], p[at + plane], p[at + 2 * plane]}; };
  return {corner(0), corner(a.vertex_stride), corner(1), corner(a.vertex_stride + 1), b, static_cast<std::int32_t>(number)};
}

// Samples that the bounding box of a cell contains. Corners that are not drawn count as none.
struct Box {
  int x, y, width, height;
};

struct Span {
  int first, count;
};

template <class T>
__device__ inline Span span(T p, T q, T r, T s, int64_t end) {
  T low = static_cast<T>(screen_limit), high = -low;
  for (const T v : {p, q, r, s}) {
    low = v < low ? v : low;
    high = v > high ? v : high;
  }
  int first = static_cast<int>(std::ceil(low)), last = static_cast<int>(std::floor(high));
  first = first < 0 ? 0 : first;
  last = last >= end ? static_cast<int>(end) - 1 : last;
  return {first, last < first ? 0 : last - first + 1};
}

template <class T>
__device__ inline Box box_of(const DepthMeshArgs<T>& a, const Cell<T>& c) {
  const Span x = span(c.a.x, c.b.x, c.c.x, c.d.x, a.width * a.supersample), y = span(c.a.y, c.b.y, c.c.y, c.d.y, a.height * a.supersample);
  return {x.first, y.first, x.count, y.count};
}

__device__ inline bool is_large(const Box& box) { return int64_t{box.width} * box.height > small_box; }

// f(x, y) for the samples of a box that fall to one thread: all, or those of a lane of a warp that covers the box in tiles of 8 x 4.
template <class F>
__device__ inline void each_sample(const Box& box, F f) {
  for (int y = box.y; y < box.y + box.height; ++y)
    for (int x = box.x; x < box.x + box.width; ++x) f(x, y);
}
template <class F>
__device__ inline void each_sample_of_lane(const Box& box, int lane, F f) {
  for (int y = box.y + lane / 8; y < box.y + box.height; y += 4)
    for (int x = box.x + lane % 8; x < box.x + box.width; x += 8) f(x, y);
}

// The triangle of a cell that is in front at a sample, and its depth; infinite where neither covers it.
template <class T>
struct Front {
  T depth;
  std::int32_t triangle;
};

// Twice the area of the triangle (sample, p, q), fused, for thin triangles lose digits otherwise. An edge is always taken in the same direction,
// so that its two triangles leave no gap.
template <class T>
__device__ inline T turn(T px, T py, T qx, T qy) {
  return std::fma(px, qy, -times(qx, py));
}

template <class T>
__device__ inline Front<T> front(const Cell<T>& c, int sample_x, int sample_y, T near) {
  const T x = static_cast<T>(sample_x), y = static_cast<T>(sample_y);
  const T ax = c.a.x - x, ay = c.a.y - y, bx = c.b.x - x, by = c.b.y - y, cx = c.c.x - x, cy = c.c.y - y, dx = c.d.x - x, dy = c.d.y - y;
  const T ab = turn(ax, ay, bx, by), bc = turn(bx, by, cx, cy), ac = turn(ax, ay, cx, cy);
  const T bd = turn(bx, by, dx, dy), cd = turn(cx, cy, dx, dy);
  const T far_away = static_cast<T>(INFINITY);
  const bool upper = (bc >= 0 && ac <= 0 && ab >= 0) || (bc <= 0 && ac >= 0 && ab <= 0);
  const bool lower = (bc <= 0 && bd >= 0 && cd <= 0) || (bc >= 0 && bd <= 0 && cd >= 0);
  // Barycentric weights are bc, -ac, ab of a, b, c, and -bc, bd, -cd of d, c, b, over their sum (twice the area, negative from the front).
  const T upper_area = bc - ac + ab, lower_area = bd - bc - cd;
  T upper_z = upper_area / std::fma(ab, c.c.i, std::fma(-ac, c.b.i, times(bc, c.a.i)));
  T lower_z = lower_area / std::fma(-cd, c.b.i, std::fma(-bc, c.d.i, times(bd, c.c.i)));
  upper_z = upper && upper_z > near ? upper_z : far_away;
  lower_z = lower && lower_z > near ? lower_z : far_away;
  constexpr std::int32_t one = std::int32_t{1} << mesh_kind_shift;
  const std::int32_t upper_triangle = c.number + (upper_area > 0 ? 2 * one : 0);
  const std::int32_t lower_triangle = c.number + one + (lower_area > 0 ? 2 * one : 0);
  const bool take_lower = lower_z < upper_z || (lower_z == upper_z && lower_triangle < upper_triangle);
  return take_lower ? Front<T>{lower_z, lower_triangle} : Front<T>{upper_z, upper_triangle};
}

template <class T>
__device__ inline int64_t sample_at(const DepthMeshArgs<T>& a, int64_t image, int64_t x, int64_t y) {
  return (image * a.height * a.supersample + y) * a.sample_stride + x;
}

// Enters what a cell has at one sample into the z-buffer. Background is `far` with triangle -1, the largest number.
__device__ inline void enter(const DepthMeshArgs<float>& a, int64_t at, const Front<float>& seen, int) {
  if (seen.depth < a.far) atomicMin(a.keys + at, bits(seen.depth) << 32 | static_cast<unsigned>(seen.triangle));
}
__device__ inline void enter(const DepthMeshArgs<double>& a, int64_t at, const Front<double>& seen, int pass) {
  if (!(seen.depth < a.far)) return;
  if (pass == 0) atomicMin(a.keys + at, bits(seen.depth));
  else if (a.keys[at] == bits(seen.depth)) atomicMin(reinterpret_cast<unsigned*>(a.samples + at), static_cast<unsigned>(seen.triangle));
}

template <class T>
__global__ void __launch_bounds__(threads) draw_kernel(DepthMeshArgs<T> a, int pass) {
  const int64_t i = int64_t{blockIdx.x} * threads + threadIdx.x;
  const int lane = static_cast<int>(threadIdx.x % 32);
  bool large = false;
  if (i < cells_of(a)) {
    const Cell<T> cell = cell_at(a, i);
    const Box box = box_of(a, cell);
    large = is_large(box);
    if (!large) each_sample(box, [&](int x, int y) { enter(a, sample_at(a, cell.image, x, y), front(cell, x, y, a.near), pass); });
  }
  for (unsigned rest = __ballot_sync(all_lanes, large); rest; rest &= rest - 1) {
    const Cell<T> cell = cell_at(a, i - lane + __ffs(static_cast<int>(rest)) - 1);
    each_sample_of_lane(box_of(a, cell), lane,
                        [&](int x, int y) { enter(a, sample_at(a, cell.image, x, y), front(cell, x, y, a.near), pass); });
  }
}

__device__ inline Front<float> seen_at(const DepthMeshArgs<float>& a, int64_t at) {
  const unsigned long long key = a.keys[at];
  return {__uint_as_float(static_cast<unsigned>(key >> 32)), static_cast<std::int32_t>(static_cast<unsigned>(key))};
}
__device__ inline Front<double> seen_at(const DepthMeshArgs<double>& a, int64_t at) {
  return {__longlong_as_double(static_cast<long long>(a.keys[at])), a.samples[at]};
}

// Averages the samples of each pixel. Those of a clamped pixel are forgotten, as they have no gradient.
template <class T>
void resolve(const DepthMeshArgs<T>& a) {
  cuda::each("depth_mesh_resolve", a.batch * a.height * a.width, [a] __device__(int64_t i) {
    const int64_t s = a.supersample, row = i / a.width, x = i - row * a.width, first = row * s * a.sample_stride + x * s;
    T total = 0;
    for (int64_t k = 0; k < s * s; ++k) total += seen_at(a, first + k / s * a.sample_stride + k % s).depth;
    const T mean = total * (T(1) / static_cast<T>(s * s));
    a.depth[i] = mean < a.clamp_lo ? a.clamp_lo : mean > a.clamp_hi ? a.clamp_hi : mean;
    const bool inside = mean >= a.clamp_lo && mean <= a.clamp_hi;
    for (int64_t k = 0; k < s * s; ++k) {
      const int64_t at = first + k / s * a.sample_stride + k % s;
      a.samples[at] = inside ? seen_at(a, at).triangle : -1;
    }
  });
}

template <class T>
void clear(const DepthMeshArgs<T>& a) {
  cuda::each("depth_mesh_clear", a.batch * a.height * a.supersample * a.sample_stride, [a] __device__(int64_t i) {
    if constexpr (sizeof(T) == 4) {
      a.keys[i] = bits(a.far) << 32 | 0xffffffffu;
    } else {
      a.keys[i] = bits(a.far);
      a.samples[i] = -1;
    }
  });
}

template <class T>
unsigned cell_blocks(const DepthMeshArgs<T>& a) {
  return cuda::blocks_for(a.batch * (a.height - 1) * (a.width - 1), threads);
}

template <class T>
void draw(const DepthMeshArgs<T>& a) {
  if (a.batch == 0) return;
  project(a);
  clear(a);
  cuda::launch({"depth_mesh_draw", cell_blocks(a), threads}, draw_kernel<T>, a, 0);
  if (sizeof(T) == 8) cuda::launch({"depth_mesh_draw", cell_blocks(a), threads}, draw_kernel<T>, a, 1);
  resolve(a);
}

// The gradient to a cell's corners.
template <class T>
struct CellGradient {
  Corner<T> a, b, c, d;
};

template <class T>
__device__ inline void add(Corner<T>& sum, T weight, const Corner<T>& share) {
  sum.x += weight * share.x;
  sum.y += weight * share.y;
  sum.i += weight * share.i;
}

// What one sample gives to the corners of the triangle that it sees: with 1/z = sum w_k i_k, d(1/z)/d i_k = w_k, and moving vertex k by
// (dx, dy) moves the plane against the sample by w_k times that.
template <class T>
__device__ inline void add_shares(const Cell<T>& cell, bool lower, int x, int y, T gradient, CellGradient<T>& out) {
  const Corner<T> first = lower ? cell.d : cell.a;
  const T px = static_cast<T>(x), py = static_cast<T>(y);
  const T ax = first.x - px, ay = first.y - py, bx = cell.b.x - px, by = cell.b.y - py, cx = cell.c.x - px, cy = cell.c.y - py;
  T wa = turn(bx, by, cx, cy), wb = turn(cx, cy, ax, ay), wc = turn(ax, ay, bx, by);
  const T inv_area = T(1) / (wa + wb + wc);
  wa *= inv_area;
  wb *= inv_area;
  wc *= inv_area;
  const T z = T(1) / (wa * first.i + wb * cell.b.i + wc * cell.c.i), g = gradient * z * z;
  const Corner<T> share{g * inv_area * (first.i * (by - cy) + cell.b.i * (cy - ay) + cell.c.i * (ay - by)),
                        g * inv_area * (first.i * (cx - bx) + cell.b.i * (ax - cx) + cell.c.i * (bx - ax)), -g};
  add(out.b, wb, share);
  add(out.c, wc, share);
  if (lower) add(out.d, wa, share);
  else add(out.a, wa, share);
}

template <class T>
__device__ inline void add_sample(const DepthMeshArgs<T>& a, const Cell<T>& cell, int x, int y, CellGradient<T>& out) {
  constexpr std::int32_t number_mask = (std::int32_t{1} << mesh_kind_shift) - 1;
  const std::int32_t seen = a.samples[sample_at(a, cell.image, x, y)];
  if (seen < 0 || (seen & number_mask) != cell.number) return;
  const int s = static_cast<int>(a.supersample);
  const T gradient = a.ddepth[(cell.image * a.height + y / s) * a.width + x / s] * (T(1) / static_cast<T>(s * s));
  add_shares(cell, seen >> mesh_kind_shift & 1, x, y, gradient, out);
}

template <class T>
__device__ inline Corner<T> warp_sum(const Corner<T>& v) {
  return {cuda::warp_sum(v.x), cuda::warp_sum(v.y), cuda::warp_sum(v.i)};
}

template <class T>
__global__ void __launch_bounds__(threads) cell_gradient_kernel(DepthMeshArgs<T> a) {
  const int64_t i = int64_t{blockIdx.x} * threads + threadIdx.x, cells = cells_of(a);
  const int lane = static_cast<int>(threadIdx.x % 32);
  CellGradient<T> own{};
  bool large = false;
  if (i < cells) {
    const Cell<T> cell = cell_at(a, i);
    const Box box = box_of(a, cell);
    large = is_large(box);
    if (!large) each_sample(box, [&](int x, int y) { add_sample(a, cell, x, y, own); });
  }
  for (unsigned rest = __ballot_sync(all_lanes, large); rest; rest &= rest - 1) {
    const int source = __ffs(static_cast<int>(rest)) - 1;
    const Cell<T> cell = cell_at(a, i - lane + source);
    CellGradient<T> part{};
    each_sample_of_lane(box_of(a, cell), lane, [&](int x, int y) { add_sample(a, cell, x, y, part); });
    part = {warp_sum(part.a), warp_sum(part.b), warp_sum(part.c), warp_sum(part.d)};
    if (lane == source) own = part;
  }
  if (i >= cells) return;
  T* out = a.gather + i;
  auto put = [&](int corner, const Corner<T>& v) {
    out[3 * corner * cells] = v.x;
    out[(3 * corner + 1) * cells] = v.y;
    out[(3 * corner + 2) * cells] = v.i;
  };
  put(0, own.a);
  put(1, own.b);
  put(2, own.c);
  put(3, own.d);
}

// Each vertex adds what it is a corner of, and goes back through the projection.
template <class T>
void finish(const DepthMeshArgs<T>& a) {
  const T scale = static_cast<T>(a.supersample) * a.focal;
  cuda::each("depth_mesh_vertices", a.batch * a.height * a.width, [a, scale] __device__(int64_t i) {
    const int64_t row = i / a.width, x = i - row * a.width, b = row / a.height, y = row - b * a.height, cells = cells_of(a);
    const bool left = x > 0, right = x < a.width - 1, up = y > 0, down = y < a.height - 1;
    const int64_t cell = (b * (a.height - 1) + y) * (a.width - 1) + x;  // the one of which the vertex is corner a
    Corner<T> g{};
    auto take = [&](int corner, int64_t from) {
      const T* p = a.gather + 3 * corner * cells + from;
      add(g, T(1), {p[0], p[cells], p[2 * cells]});
    };
    if (right && down) take(0, cell);
    if (right && up) take(1, cell - (a.width - 1));
    if (left && down) take(2, cell - 1);
    if (left && up) take(3, cell - (a.width - 1) - 1);
    const T inv = a.screen[(3 * b + 2) * a.height * a.vertex_stride + y * a.vertex_stride + x];
    const T* p = a.points + 3 * i;
    T out[3] = {};
    if (inv > T(0)) {  // else never drawn
      const T per_z = across(p[2], inv);
      out[0] = g.x * scale * per_z;
      out[1] = g.y * scale * per_z;
      out[2] = -(out[0] * p[0] + out[1] * p[1]) * per_z - g.i * inv * inv;
    }
    for (int k = 0; k < 3; ++k) a.dpoints[3 * i + k] = out[k];
  });
}

template <class T>
void draw_backward(const DepthMeshArgs<T>& a) {
  if (a.batch == 0) return;
  cuda::launch({"depth_mesh_cells", cell_blocks(a), threads}, cell_gradient_kernel<T>, a);
  finish(a);
}

}  // namespace

G2S_REAL_ENTRY(depth_mesh_kernel_cuda, DepthMeshArgs, draw)
G2S_REAL_ENTRY(depth_mesh_backward_kernel_cuda, DepthMeshArgs, draw_backward)

}  // namespace g2s::kernels
