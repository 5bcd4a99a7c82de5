// Forward and the gradient to the grid: one thread a value. The gradient to the image is gathered: positions are put into lists by the cell
// of four pixels that they lie in, each list in ascending order, and every pixel adds what is in the cells around it. So sums have a fixed
// order without atomics on floats, and infinities and NaNs stay what they are; fixed-point sums would need the largest gradient first, and
// lose small ones.
//
// Nothing is sorted. Of `run_block` neighbouring positions, those in the same cell are a run, and each one counts in shared memory how many of
// them come before it. Then it adds up the lengths of the earlier runs of its cell, and has its place in the list. Where a folded grid has all
// n positions in one cell, a thread of these kernels looks at n / run_block runs, and one that adds at grid_sample_part positions.
#include <cmath>
#include <utility>

#include "engine/cuda/launch.cuh"
#include "kernels/grid_sample/grid_sample_args.h"

namespace g2s::kernels {
namespace {

using std::int64_t;

enum State : std::int32_t { outside, touching, not_finite };

// One coordinate of a position: the pixels on both sides and their weights, 0 for one outside.
template <class T>
struct Axis {
  std::int32_t near;  // -1 .. size - 1 for a position that touches the image
  bool near_inside, far_inside;
  T near_weight, far_weight;
};

template <class T>
__device__ inline Axis<T> between(T position, std::int32_t size) {
  T limited = position > T(-2) ? position : T(-2);  // also a NaN
  limited = limited < static_cast<T>(size) + T(1) ? limited : static_cast<T>(size) + T(1);
  const T low = std::floor(limited), fraction = limited - low;
  const auto near = static_cast<std::int32_t>(low);
  const bool near_inside = near >= 0 && near < size, far_inside = near + 1 >= 0 && near + 1 < size;
  return {near, near_inside, far_inside, near_inside ? T(1) - fraction : T(0), far_inside ? fraction : T(0)};
}

template <class T>
struct Position {
  State state;
  Axis<T> x, y;
};

// In pixels. The coordinates -1 and 1 of a grid are the centres of the outermost ones.
template <class T>
__device__ inline T pixels(T coordinate, int64_t size) {
  return (coordinate + T(1)) * (static_cast<T>(size - 1) * T(0.5));
}

template <class T>
__device__ inline Position<T> locate(const GridSampleArgs<T>& a, int64_t p) {
  const T px = pixels(a.grid[2 * p], a.width), py = pixels(a.grid[2 * p + 1], a.height);
  const bool finite = px - px == T(0) && py - py == T(0);
  const bool touches = px > T(-1) && px < static_cast<T>(a.width) && py > T(-1) && py < static_cast<T>(a.height);
  return {!finite ? not_finite : touches ? touching : outside, between(px, static_cast<std::int32_t>(a.width)),
          between(py, static_cast<std::int32_t>(a.height))};
}

struct Pixel {
  std::int32_t x, y;  // x < 0: none
};

// Halves go to the even pixel.
template <class T>
__device__ inline Pixel nearest_to(const GridSampleArgs<T>& a, int64_t p) {
  const T px = std::rint(pixels(a.grid[2 * p], a.width)), py = std::rint(pixels(a.grid[2 * p + 1], a.height));
  const bool inside = px >= T(0) && px <= static_cast<T>(a.width - 1) && py >= T(0) && py <= static_cast<T>(a.height - 1);
  return inside ? Pixel{static_cast<std::int32_t>(px), static_cast<std::int32_t>(py)} : Pixel{-1, -1};
}

// The image that position p looks at.
template <class T>
__device__ inline int64_t image_of(const GridSampleArgs<T>& a, int64_t p) {
  return a.x_batch == 1 ? 0 : p / (a.rows * a.columns);
}

// Offsets of the four pixels around a position that touches the image; one outside stands for the nearest one inside.
struct Corners {
  int64_t at[4];
};

template <class T>
__device__ inline Corners corners_of(const GridSampleArgs<T>& a, const Position<T>& q, int64_t image) {
  const int64_t left = q.x.near_inside ? q.x.near : q.x.near + 1, right = q.x.far_inside ? q.x.near + 1 : q.x.near;
  const int64_t up = q.y.near_inside ? q.y.near : q.y.near + 1, down = q.y.far_inside ? q.y.near + 1 : q.y.near;
  const int64_t upper = (image * a.height + up) * a.width, lower = (image * a.height + down) * a.width;
  return {{(upper + left) * a.channels, (upper + right) * a.channels, (lower + left) * a.channels, (lower + right) * a.channels}};
}

template <class T>
void sample(const GridSampleArgs<T>& a) {
  const int64_t values = a.batch * a.rows * a.columns * a.channels;
  if (a.nearest)
    return cuda::each("grid_sample_nearest", values, [a] __device__(int64_t i) {
      const int64_t p = i / a.channels, k = i - p * a.channels;
      const Pixel q = nearest_to(a, p);
      a.y[i] = q.x < 0 ? T(0) : a.x[((image_of(a, p) * a.height + q.y) * a.width + q.x) * a.channels + k];
    });
  cuda::each("grid_sample", values, [a] __device__(int64_t i) {
    const int64_t p = i / a.channels;
    const Position<T> q = locate(a, p);
    if (q.state != touching) {
      a.y[i] = q.state == outside ? T(0) : static_cast<T>(NAN);
      return;
    }
    const Corners c = corners_of(a, q, image_of(a, p));
    const T* x = a.x + (i - p * a.channels);
    a.y[i] = q.y.near_weight * q.x.near_weight * x[c.at[0]] + q.y.near_weight * q.x.far_weight * x[c.at[1]] +
             q.y.far_weight * q.x.near_weight * x[c.at[2]] + q.y.far_weight * q.x.far_weight * x[c.at[3]];
  });
}

// The gradient to the grid by `lanes` neighbouring threads a position: 1, or 32 for many channels.
template <int lanes, class T>
__global__ void grid_gradient_kernel(GridSampleArgs<T> a) {
  const int64_t p = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / lanes;
  if (p >= a.batch * a.rows * a.columns) return;
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const Position<T> q = locate(a, p);
  T gx = q.state == outside ? T(0) : static_cast<T>(NAN), gy = gx;
  if (q.state == touching) {
    const Corners c = corners_of(a, q, image_of(a, p));
    T dot[4] = {};
    for (int64_t k = lane; k < a.channels; k += lanes) {
      const T dy = a.dy[p * a.channels + k];
      for (int corner = 0; corner < 4; ++corner) dot[corner] += a.x[c.at[corner] + k] * dy;
    }
    if constexpr (lanes == 32)
      for (T& d : dot) d = cuda::warp_sum(d);
    // What a pixel outside gives is 0, whatever stands in for it holds.
    const T zero = 0, d0 = q.x.near_inside ? dot[0] : zero, d1 = q.x.far_inside ? dot[1] : zero, d2 = q.x.near_inside ? dot[2] : zero,
            d3 = q.x.far_inside ? dot[3] : zero;
    gx = static_cast<T>(a.width - 1) * T(0.5) * (q.y.near_weight * (d1 - d0) + q.y.far_weight * (d3 - d2));
    const T u0 = q.y.near_inside ? dot[0] : zero, u1 = q.y.near_inside ? dot[1] : zero, u2 = q.y.far_inside ? dot[2] : zero,
            u3 = q.y.far_inside ? dot[3] : zero;
    gy = static_cast<T>(a.height - 1) * T(0.5) * (q.x.near_weight * (u2 - u0) + q.x.far_weight * (u3 - u1));
  }
  if (lane != 0) return;
  a.dgrid[2 * p] = gx;
  a.dgrid[2 * p + 1] = gy;
}

// The lists, in the scratch memory of grid_sample_scratch numbers. Cell (y, x) of an image, y in [0, height], x in [0, width], has the
// pixels (y-1, x-1) to (y, x); for the nearest pixel only the last one counts.
struct Lists {
  std::int32_t* total;       // [1] places taken in `list`
  std::int32_t* parts;       // [1] parts of lists of more than one
  std::int32_t* count;       // [cells] positions in the cell
  std::int32_t* runs;        // [cells] its runs
  std::int32_t* start;       // [cells] of the cell's part of `list`, and of `run`
  std::int32_t* first_part;  // [cells] of a list of more than one
  std::int32_t* cell;        // [positions] -1: none
  std::int32_t* before;      // [positions] of the same run
  std::int32_t* length;      // [positions] of the run that begins here
  std::int32_t* run;         // [positions] where a cell's runs begin, in any order
  std::int32_t* list;        // [positions]
  std::int32_t* part_begin;  // [grid_sample_parts] in `list`
  std::int32_t* part_end;
  int64_t cells, positions;
};

template <class T>
Lists lists_of(const GridSampleArgs<T>& a) {
  Lists l{};
  l.cells = a.x_batch * (a.height + 1) * (a.width + 1);
  l.positions = a.batch * a.rows * a.columns;
  std::int32_t* free = a.scratch;
  const auto take = [&free](int64_t numbers) { return std::exchange(free, free + numbers); };
  l.total = take(1), l.parts = take(1);
  for (auto each : {&Lists::count, &Lists::runs, &Lists::start, &Lists::first_part}) l.*each = take(l.cells);
  for (auto each : {&Lists::cell, &Lists::before, &Lists::length, &Lists::run, &Lists::list}) l.*each = take(l.positions);
  for (auto each : {&Lists::part_begin, &Lists::part_end}) l.*each = take(grid_sample_parts(l.positions));
  return l;
}

template <class T>
__device__ inline int64_t cell_of(const GridSampleArgs<T>& a, int64_t p) {
  std::int32_t x = -1, y = -1;  // the last of the cell's pixels
  if (a.nearest) {
    const Pixel q = nearest_to(a, p);
    if (q.x < 0) return -1;
    x = q.x;
    y = q.y;
  } else {
    const Position<T> q = locate(a, p);
    if (q.state != touching) return -1;
    x = q.x.near + 1;
    y = q.y.near + 1;
  }
  return (image_of(a, p) * (a.height + 1) + y) * (a.width + 1) + x;
}

constexpr unsigned run_block = 256;

struct Cells {
  std::int32_t cell[run_block];
};

// Finds the runs among the positions of a block.
template <class T>
__global__ void count_kernel(GridSampleArgs<T> a, Lists l) {
  auto& s = cuda::shared<Cells>();
  const int64_t p = int64_t{blockIdx.x} * run_block + threadIdx.x;
  const auto own = static_cast<std::int32_t>(p < l.positions ? cell_of(a, p) : -1);
  s.cell[threadIdx.x] = own;
  __syncthreads();
  if (p < l.positions) l.cell[p] = own;
  if (own < 0) return;
  std::int32_t before = 0, all = 0;
  for (unsigned i = 0; i < run_block; ++i) {
    const bool same = s.cell[i] == own;
    all += same;
    before += same && i < threadIdx.x;
  }
  l.before[p] = before;
  if (before > 0) return;
  l.length[p] = all;
  atomicAdd(l.count + own, all);
}

constexpr unsigned start_threads = 256;

struct WarpTotals {
  std::int32_t total[start_threads / 32];
  std::int32_t base;
};

// Cuts the list of cell i into parts, if it is long.
__device__ inline void cut_list(const Lists& l, int64_t i) {
  constexpr auto most = static_cast<std::int32_t>(grid_sample_part);
  const std::int32_t begin = l.start[i], count = l.count[i];
  if (count <= most) return;
  const std::int32_t parts = (count - 1) / most + 1, first = atomicAdd(l.parts, parts);
  l.first_part[i] = first;
  for (std::int32_t k = 0; k < parts; ++k) {
    l.part_begin[first + k] = begin + k * most;
    l.part_end[first + k] = begin + (k + 1 < parts ? (k + 1) * most : count);
  }
}

// Gives each cell its part of the list. Where it lies may change from run to run, what it will hold does not.
__global__ void list_start_kernel(Lists l) {
  const int64_t i = int64_t{blockIdx.x} * start_threads + threadIdx.x;
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const std::int32_t own = i < l.cells ? l.count[i] : 0;
  std::int32_t upto = own;  // the sum of this lane and those before it
  for (unsigned step = 1; step < 32; step *= 2) {
    const std::int32_t other = __shfl_up_sync(0xffffffffu, upto, step);
    if (lane >= step) upto += other;
  }
  auto& s = cuda::shared<WarpTotals>();
  if (lane == 31) s.total[warp] = upto;
  __syncthreads();
  std::int32_t before = 0, all = 0;
  for (unsigned w = 0; w < start_threads / 32; ++w) {
    if (w < warp) before += s.total[w];
    all += s.total[w];
  }
  if (threadIdx.x == 0) s.base = atomicAdd(l.total, all);
  __syncthreads();
  if (i >= l.cells) return;
  l.start[i] = s.base + before + upto - own;
  cut_list(l, i);
}

template <class T>
Lists make_lists(const GridSampleArgs<T>& a) {
  const Lists l = lists_of(a);
  cuda::each("grid_sample_clear", 2 + 2 * l.cells, [l] __device__(int64_t i) { l.total[i] = 0; });
  if (l.positions > 0)
    cuda::launch({"grid_sample_count", cuda::blocks_for(l.positions, run_block), run_block, sizeof(Cells)}, count_kernel<T>, a, l);
  cuda::launch({"grid_sample_start", cuda::blocks_for(l.cells, start_threads), start_threads, sizeof(WarpTotals)}, list_start_kernel, l);
  cuda::each("grid_sample_runs", l.positions, [l] __device__(int64_t p) {
    const std::int32_t cell = l.cell[p];
    if (cell >= 0 && l.before[p] == 0) l.run[l.start[cell] + atomicAdd(l.runs + cell, 1)] = static_cast<std::int32_t>(p);
  });
  cuda::each("grid_sample_list", l.positions, [l] __device__(int64_t p) {
    const std::int32_t cell = l.cell[p];
    if (cell < 0) return;
    const std::int32_t start = l.start[cell], end = start + l.runs[cell];
    std::int32_t at = start + l.before[p];
    for (std::int32_t n = start; n < end; ++n)
      if (l.run[n] < p / run_block * run_block) at += l.length[l.run[n]];
    l.list[at] = static_cast<std::int32_t>(p);
  });
  return l;
}

// Adds what the positions list[begin, end) of a cell give to channel k of one of its pixels: the last one, or with bit 0 of `at` one on the
// left, with bit 1 one above.
template <class T>
__device__ inline T add_list(const GridSampleArgs<T>& a, const Lists& l, std::int32_t begin, std::int32_t end, int at, int64_t k, T total) {
  for (std::int32_t n = begin; n < end; ++n) {
    const int64_t p = l.list[n];
    const T dy = a.dy[p * a.channels + k];
    if (a.nearest) {
      total += dy;
      continue;
    }
    const Position<T> q = locate(a, p);
    total += (at & 2 ? q.y.near_weight : q.y.far_weight) * (at & 1 ? q.x.near_weight : q.x.far_weight) * dy;
  }
  return total;
}

// One value of dx: from the cells of which its pixel is the last, and with weights those of which it is one of the others.
template <class T>
void image_gradient(const GridSampleArgs<T>& a) {
  const Lists l = make_lists(a);
  const int corners = a.nearest ? 1 : 4;
  cuda::each("grid_sample_parts", grid_sample_parts(l.positions) * corners * a.channels, [a, l, corners] __device__(int64_t i) {
    const int64_t row = i / a.channels, part = row / corners;
    if (part < l.parts[0])
      a.partial[i] = add_list(a, l, l.part_begin[part], l.part_end[part], static_cast<int>(row - part * corners), i - row * a.channels, T(0));
  });
  cuda::each("grid_sample_gather", a.x_batch * a.height * a.width * a.channels, [a, l, corners] __device__(int64_t i) {
    const int64_t pixel = i / a.channels, k = i - pixel * a.channels, row = pixel / a.width, x = pixel - row * a.width;
    const int64_t cell = (row + row / a.height) * (a.width + 1) + x;  // an image has one more row of cells than of pixels
    T total = 0;
    for (int at = 0; at < corners; ++at) {
      const int64_t c = cell + (at & 2 ? a.width + 1 : 0) + (at & 1);
      const std::int32_t start = l.start[c], count = l.count[c];
      if (count <= grid_sample_part) {
        total = add_list(a, l, start, start + count, at, k, total);
        continue;
      }
      for (int64_t part = 0; part * grid_sample_part < count; ++part)
        total += a.partial[((l.first_part[c] + part) * corners + at) * a.channels + k];
    }
    a.dx[i] = total;
  });
}

template <class T>
void sample_backward(const GridSampleArgs<T>& a) {
  constexpr unsigned threads = 256;
  const int64_t positions = a.batch * a.rows * a.columns;
  if (a.dgrid && positions > 0) {
    if (a.channels < 16) cuda::launch({"grid_sample_dgrid", cuda::blocks_for(positions, threads), threads}, grid_gradient_kernel<1, T>, a);
    else cuda::launch({"grid_sample_dgrid", cuda::blocks_for(positions, threads / 32), threads}, grid_gradient_kernel<32, T>, a);
  }
  if (a.dx) image_gradient(a);
}

}  // namespace

G2S_REAL_ENTRY(grid_sample_kernel_cuda, GridSampleArgs, sample)
G2S_REAL_ENTRY(grid_sample_backward_kernel_cuda, GridSampleArgs, sample_backward)

}  // namespace g2s::kernels
