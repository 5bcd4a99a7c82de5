// Copies are bound by memory: rows are moved 16 bytes at a time where they allow it, and a transposition goes through shared memory, so that
// both sides are read and written along their rows.
#include <cstring>

#include "engine/cuda/launch.cuh"
#include "kernels/shape/copy_args.h"

namespace g2s::kernels {
namespace {

constexpr std::int64_t most_bytes = 16;  // of one load

std::int64_t count_of(const CopyArgs& g) {
  std::int64_t count = 1;
  for (int d = 0; d < g.rank; ++d) count *= g.size[d];
  return count;
}

// One thread an element, in the order of `to`. Index is 32 bits wide where that is enough: divisions of 64 bits take longer than the copy.
template <class T, class Index>
void copy_elements(const CopyArgs& g, std::int64_t count) {
  cuda::each("copy", count, [=] __device__(std::int64_t i) {
    std::int64_t from = 0, to = 0;
    Index rest = static_cast<Index>(i);
    for (int d = 0; d < 6; ++d) {  // a constant bound: unrolled, the arguments stay where they are
      if (d == g.rank) break;
      const Index size = static_cast<Index>(g.size[d]);
      const auto k = static_cast<std::int64_t>(rest % size);
      from += k * g.from_stride[d];
      to += k * g.to_stride[d];
      rest /= size;
    }
    static_cast<T*>(g.to)[to] = static_cast<const T*>(g.from)[from];
  });
}

template <class T>
void copy_elements(const CopyArgs& g) {
  const std::int64_t count = count_of(g);
  if (count < std::int64_t{1} << 32) copy_elements<T, std::uint32_t>(g, count);
  else copy_elements<T, std::uint64_t>(g, count);
}

constexpr unsigned side = 32;  // of the squares that a transposition moves at once
constexpr unsigned rows_at_once = 8;

// Dimension 0 of the arguments is contiguous in `to`, dimension 1 in `from`.
struct TransposeArgs {
  CopyArgs g;
  std::int64_t across, down;  // squares along dimensions 0 and 1
};

template <class T>
struct Square {
  T at[side][side + 1];  // columns lie in different banks
};

template <class T>
__global__ void __launch_bounds__(side * rows_at_once) transpose_squares(TransposeArgs a) {
  auto& s = cuda::shared<Square<T>>();
  std::int64_t rest = blockIdx.x;
  const std::int64_t x0 = rest % a.across * side;
  rest /= a.across;
  const std::int64_t y0 = rest % a.down * side;
  rest /= a.down;
  const T* from = static_cast<const T*>(a.g.from);
  T* to = static_cast<T*>(a.g.to);
  for (int d = 2; d < 6; ++d) {
    if (d >= a.g.rank) break;
    const std::int64_t k = rest % a.g.size[d];
    rest /= a.g.size[d];
    from += k * a.g.from_stride[d];
    to += k * a.g.to_stride[d];
  }
  const unsigned column = threadIdx.x % side;
  for (unsigned row = threadIdx.x / side; row < side; row += rows_at_once) {
    const std::int64_t x = x0 + row, y = y0 + column;
    if (x < a.g.size[0] && y < a.g.size[1]) s.at[row][column] = from[x * a.g.from_stride[0] + y];
  }
  __syncthreads();
  for (unsigned row = threadIdx.x / side; row < side; row += rows_at_once) {
    const std::int64_t x = x0 + column, y = y0 + row;
    if (x < a.g.size[0] && y < a.g.size[1]) to[x + y * a.g.to_stride[1]] = s.at[column][row];
  }
}

// The dimension along which `from` is contiguous while `to` is so along dimension 0; 0 if it is no transposition, or a narrow one, which the
// cache serves well enough.
int turned(const CopyArgs& g) {
  constexpr std::int64_t narrow = 8;
  if (g.from_stride[0] == 1 || g.to_stride[0] != 1 || g.size[0] < narrow) return 0;
  for (int d = 1; d < g.rank; ++d)
    if (g.from_stride[d] == 1 && g.size[d] >= narrow) return d;
  return 0;
}

template <class T>
void transpose(const CopyArgs& g, int dimension) {
  TransposeArgs a{g, (g.size[0] + side - 1) / side, (g.size[dimension] + side - 1) / side};
  a.g.size[1] = g.size[dimension], a.g.from_stride[1] = 1, a.g.to_stride[1] = g.to_stride[dimension];
  if (dimension != 1) a.g.size[dimension] = g.size[1], a.g.from_stride[dimension] = g.from_stride[1], a.g.to_stride[dimension] = g.to_stride[1];
  const std::int64_t blocks = count_of(g) / g.size[0] / g.size[dimension] * a.across * a.down;
  cuda::launch({"transpose", cuda::blocks_for(blocks, 1), side * rows_at_once, sizeof(Square<T>)}, transpose_squares<T>, a);
}

// Takes two neighbours along rows as one element, as often as places and sizes are even.
CopyArgs widened(CopyArgs g) {
  if (g.from_stride[0] != 1 || g.to_stride[0] != 1) return g;
  const auto places = reinterpret_cast<std::uintptr_t>(g.from) | reinterpret_cast<std::uintptr_t>(g.to);
  while (g.element < most_bytes) {
    bool even = places % static_cast<std::uintptr_t>(2 * g.element) == 0 && g.size[0] % 2 == 0;
    for (int d = 1; d < g.rank; ++d) even = even && g.from_stride[d] % 2 == 0 && g.to_stride[d] % 2 == 0;
    if (!even) break;
    g.element *= 2;
    g.size[0] /= 2;
    for (int d = 1; d < g.rank; ++d) g.from_stride[d] /= 2, g.to_stride[d] /= 2;
  }
  return g;
}

template <class T>
void copy(const CopyArgs& g) {
  if (const int dimension = turned(g)) transpose<T>(g, dimension);
  else copy_elements<T>(g);
}

template <class T>
void fill(const FillArgs& g) {
  T value;
  std::memcpy(&value, g.value, sizeof value);
  auto* to = static_cast<T*>(g.to);
  const std::int64_t length = g.length, pitch = g.pitch;
  cuda::each("fill", g.rows * length, [=] __device__(std::int64_t i) { to[i / length * pitch + i % length] = value; });
}

}  // namespace

void copy_cuda(const CopyArgs& args) {
  const CopyArgs g = widened(args);
  switch (g.element) {
    case 1: return copy<std::uint8_t>(g);
    case 2: return copy<std::uint16_t>(g);
    case 4: return copy<std::uint32_t>(g);
    case 8: return copy<std::uint64_t>(g);
    default: return copy_elements<uint4>(g);
  }
}

void fill_cuda(const FillArgs& args) {
  switch (args.element) {
    case 1: return fill<std::uint8_t>(args);
    case 2: return fill<std::uint16_t>(args);
    case 4: return fill<std::uint32_t>(args);
    default: return fill<std::uint64_t>(args);
  }
}

}  // namespace g2s::kernels
