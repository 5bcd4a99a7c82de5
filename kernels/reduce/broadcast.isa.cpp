#include <cstring>

#include "engine/parallel.h"
#include "kernels/reduce/reduce_args.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t block = 1 << 15;  // elements of one piece of work

template <class T>
const T* row_start(const BroadcastArgs& g, std::int64_t r) {
  std::int64_t offset = 0;
  for (int d = 1; d < g.rank; ++d) {
    offset += r % g.size[d] * g.stride[d];
    r /= g.size[d];
  }
  return static_cast<const T*>(g.x) + offset;
}

// n places of a row of the output.
template <class T>
void fill(const T* from, bool vector, T* y, std::int64_t n) {
  if (vector) {
    std::memcpy(y, from, static_cast<std::size_t>(n) * sizeof(T));
  } else {
    T v = *from;
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) y[i] = v;
  }
}

template <class T, int length>
void repeat(const T* from, std::int64_t stride, std::int64_t rows, T* y) {
  for (std::int64_t r = 0; r < rows; ++r)
    for (int j = 0; j < length; ++j) y[r * length + j] = from[r * stride];
}

template <class T>
void rows(const BroadcastArgs& g, std::int64_t begin, std::int64_t end) {
  std::int64_t length = g.size[0];
  while (begin < end) {
    // A run of rows along dimension 1.
    std::int64_t run = g.size[1] - begin % g.size[1];
    if (run > end - begin) run = end - begin;
    const T* from = row_start<T>(g, begin);
    T* y = static_cast<T*>(g.y) + begin * length;
    if (g.stride[0] == 0 && length == 2) repeat<T, 2>(from, g.stride[1], run, y);
    else if (g.stride[0] == 0 && length == 3) repeat<T, 3>(from, g.stride[1], run, y);
    else if (g.stride[0] == 0 && length == 4) repeat<T, 4>(from, g.stride[1], run, y);
    else if (length < 16)
      for (std::int64_t r = 0; r < run; ++r)
        for (std::int64_t j = 0; j < length; ++j) y[r * length + j] = from[r * g.stride[1] + j * g.stride[0]];
    else
      for (std::int64_t r = 0; r < run; ++r) fill(from + r * g.stride[1], g.stride[0] != 0, y + r * length, length);
    begin += run;
  }
}

template <class T>
void broadcast(const BroadcastArgs& g) {
  std::int64_t count = 1, length = g.size[0];
  for (int d = 1; d < g.rank; ++d) count *= g.size[d];
  if (length < block && g.rank > 1) {
    parallel_blocks(count, block / length, [&](std::int64_t begin, std::int64_t end) { rows<T>(g, begin, end); });
    return;
  }
  std::int64_t parts = (length + block - 1) / block;
  parallel_for(count * parts, [&](std::int64_t i) {
    std::int64_t begin = i % parts * block, n = length - begin < block ? length - begin : block, r = i / parts;
    fill(row_start<T>(g, r) + begin * g.stride[0], g.stride[0] != 0, static_cast<T*>(g.y) + r * length + begin, n);
  });
}

}  // namespace

void broadcast_cpu(const BroadcastArgs& args) {
  switch (args.element) {
    case 1: return broadcast<std::uint8_t>(args);
    case 2: return broadcast<std::uint16_t>(args);
    case 4: return broadcast<std::uint32_t>(args);
    default: return broadcast<std::uint64_t>(args);
  }
}

}  // namespace g2s::kernels::G2S_ISA
