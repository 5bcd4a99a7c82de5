#include <cstring>

#include "engine/parallel.h"
#include "kernels/shape/copy_args.h"
#include "kernels/simd.isa.h"

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t piece_bytes = 1 << 17;
constexpr std::int64_t side = 16;  // of the squares that a transposition moves at once

// Rows of `n` elements that are contiguous on both sides. `length` is n where it is known.
template <class T, int length>
void runs(const T* from, std::int64_t from_step, T* to, std::int64_t to_step, std::int64_t rows, std::int64_t n) {
  for (std::int64_t r = 0; r < rows; ++r)
    std::memcpy(to + r * to_step, from + r * from_step, static_cast<std::size_t>(length ? length : n) * sizeof(T));
}

// Transposes a square of whole cache lines between buffers.
template <class T>
void transpose_square(const T (&x)[side][side], T (&y)[side][side]) {
  for (std::int64_t j = 0; j < side; ++j)
    for (std::int64_t i = 0; i < side; ++i) y[j][i] = x[i][j];
}

inline void transpose_square(const std::uint32_t (&x)[side][side], std::uint32_t (&y)[side][side]) {
  constexpr int n = lane_count<std::uint32_t>;
  for (std::int64_t i = 0; i < side; i += n) {
    for (std::int64_t j = 0; j < side; j += n) {
      Vec<std::uint32_t> rows[n];
      for (int r = 0; r < n; ++r) rows[r] = load(&x[i + r][j]);
      transpose(rows);
      for (int r = 0; r < n; ++r) store(&y[j + r][i], rows[r]);
    }
  }
}

// Lines are read and written whole: with strides of a power of two they evict each other from the first-level cache.
template <class T>
void square(const T* from, std::int64_t from_row, T* to, std::int64_t to_row) {
  T x[side][side], y[side][side];
  for (std::int64_t i = 0; i < side; ++i) std::memcpy(x[i], from + i * from_row, sizeof x[i]);
  transpose_square(x, y);
  for (std::int64_t j = 0; j < side; ++j) std::memcpy(to + j * to_row, y[j], sizeof y[j]);
}

// to[j * to_row + i] = from[i * from_row + j] for i < rows, j < columns.
template <class T>
void transpose_part(const T* from, std::int64_t from_row, T* to, std::int64_t to_row, std::int64_t rows, std::int64_t columns) {
  if (rows == side && columns == side) return square(from, from_row, to, to_row);
  for (std::int64_t j = 0; j < columns; ++j)
    for (std::int64_t i = 0; i < rows; ++i) to[j * to_row + i] = from[i * from_row + j];
}

template <class T>
void transpose(const T* from, std::int64_t from_row, T* to, std::int64_t to_row, std::int64_t rows, std::int64_t columns) {
  auto part = [=](std::int64_t i, std::int64_t j) {
    transpose_part(from + i * from_row + j, from_row, to + j * to_row + i, to_row, rows - i < side ? rows - i : side,
                   columns - j < side ? columns - j : side);
  };
  // The side whose rows are further apart is walked along its rows.
  if (to_row > from_row) {
    for (std::int64_t j = 0; j < columns; j += side)
      for (std::int64_t i = 0; i < rows; i += side) part(i, j);
  } else {
    for (std::int64_t i = 0; i < rows; i += side)
      for (std::int64_t j = 0; j < columns; j += side) part(i, j);
  }
}

// The same with few columns, or few rows: channels of images.
template <class T, int few>
void take_apart(const T* from, T* to, std::int64_t to_row, std::int64_t rows) {
#pragma omp simd
  for (std::int64_t i = 0; i < rows; ++i)
    for (int j = 0; j < few; ++j) to[j * to_row + i] = from[i * few + j];
}
template <class T, int few>
void put_together(const T* from, std::int64_t from_row, T* to, std::int64_t columns) {
#pragma omp simd
  for (std::int64_t j = 0; j < columns; ++j)
    for (int i = 0; i < few; ++i) to[j * few + i] = from[i * from_row + j];
}

template <class T>
class Copy {
 public:
  // Two dimensions are copied by an inner loop over slabs; the rest are walked.
  explicit Copy(const CopyArgs& args) : g(args) {
    second = g.rank > 1 ? 1 : -1;
    if (g.from_stride[0] != 1) {
      for (int d = 1; d < g.rank; ++d)
        if (g.from_stride[d] == 1) second = d, turned = true;
    }
    for (int d = 1; d < g.rank; ++d) slabs *= d == second ? 1 : g.size[d];
    rows = second > 0 ? g.size[second] : 1;
    from_row = second > 0 ? g.from_stride[second] : 0;
    to_row = second > 0 ? g.to_stride[second] : 0;
  }

  void run() const {
    std::int64_t length = g.size[0], piece = piece_bytes / static_cast<std::int64_t>(sizeof(T));
    if (length * rows <= piece) {
      parallel_blocks(slabs, piece / (length * rows), [&, this](std::int64_t begin, std::int64_t end) {
        for (std::int64_t s = begin; s < end; ++s) slab(s, 0, rows, 0, g.size[0]);
      });
      return;
    }
    // A large slab is cut along its rows, and a long row along itself.
    std::int64_t height = turned ? 4 * side : 1;
    if (height > rows) height = rows;
    std::int64_t width = piece / height / side * side;
    if (width > length) {
      width = length;
      height = piece / width < side ? side : piece / width / side * side;
    }
    std::int64_t across = (length + width - 1) / width, down = (rows + height - 1) / height;
    parallel_for(slabs * across * down, [&, this](std::int64_t i) {
      std::int64_t x = i % across * width, y = i / across % down * height;
      slab(i / across / down, y, rows - y < height ? rows - y : height, x, length - x < width ? length - x : width);
    });
  }

 private:
  // Rows [row, row + m) and columns [column, column + n) of slab s.
  void slab(std::int64_t s, std::int64_t row, std::int64_t m, std::int64_t column, std::int64_t n) const {
    std::int64_t from_offset = row * from_row + column * g.from_stride[0], to_offset = row * to_row + column * g.to_stride[0];
    for (int d = 1; d < g.rank; ++d) {
      if (d == second) continue;
      from_offset += s % g.size[d] * g.from_stride[d];
      to_offset += s % g.size[d] * g.to_stride[d];
      s /= g.size[d];
    }
    const T* from = static_cast<const T*>(g.from) + from_offset;
    T* to = static_cast<T*>(g.to) + to_offset;
    if (turned && g.to_stride[0] == 1) turn(from, to, m, n);
    else if (g.from_stride[0] == 1 && g.to_stride[0] == 1) straight(from, to, m, n);
    else if (g.from_stride[0] == -1 && g.to_stride[0] == 1) reversed(from, to, m, n);
    else
      for (std::int64_t r = 0; r < m; ++r)
        for (std::int64_t i = 0; i < n; ++i) to[r * to_row + i * g.to_stride[0]] = from[r * from_row + i * g.from_stride[0]];
  }

  void straight(const T* from, T* to, std::int64_t m, std::int64_t n) const {
    switch (n) {
      case 1: return runs<T, 1>(from, from_row, to, to_row, m, n);
      case 2: return runs<T, 2>(from, from_row, to, to_row, m, n);
      case 3: return runs<T, 3>(from, from_row, to, to_row, m, n);
      case 4: return runs<T, 4>(from, from_row, to, to_row, m, n);
      case 8: return runs<T, 8>(from, from_row, to, to_row, m, n);
      case 16: return runs<T, 16>(from, from_row, to, to_row, m, n);
      default: return runs<T, 0>(from, from_row, to, to_row, m, n);
    }
  }

  void reversed(const T* from, T* to, std::int64_t m, std::int64_t n) const {
    for (std::int64_t r = 0; r < m; ++r) {
      const T* f = from + r * from_row;
      T* t = to + r * to_row;
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) t[i] = f[-i];
    }
  }

  // m rows along `to_row`, contiguous in `from`; n places along the rows of `to`.
  void turn(const T* from, T* to, std::int64_t m, std::int64_t n) const {
    std::int64_t from_step = g.from_stride[0];
    if (from_step == m && m == 2) return take_apart<T, 2>(from, to, to_row, n);
    if (from_step == m && m == 3) return take_apart<T, 3>(from, to, to_row, n);
    if (from_step == m && m == 4) return take_apart<T, 4>(from, to, to_row, n);
    if (to_row == n && n == 2) return put_together<T, 2>(from, from_step, to, m);
    if (to_row == n && n == 3) return put_together<T, 3>(from, from_step, to, m);
    if (to_row == n && n == 4) return put_together<T, 4>(from, from_step, to, m);
    transpose(from, from_step, to, to_row, n, m);
  }

  const CopyArgs& g;
  int second = -1;  // the dimension of the rows of a slab
  bool turned = false;
  std::int64_t slabs = 1, rows = 1, from_row = 0, to_row = 0;
};

template <class T>
void fill(const FillArgs& g) {
  T value;
  std::memcpy(&value, g.value, sizeof value);
  T* to = static_cast<T*>(g.to);
  std::int64_t piece = piece_bytes / static_cast<std::int64_t>(sizeof(T));
  parallel_blocks(g.rows, g.length < piece ? piece / g.length : 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
#pragma omp simd
      for (std::int64_t i = 0; i < g.length; ++i) to[r * g.pitch + i] = value;
    }
  });
}

}  // namespace

void copy_cpu(const CopyArgs& args) {
  switch (args.element) {
    case 1: return Copy<std::uint8_t>(args).run();
    case 2: return Copy<std::uint16_t>(args).run();
    case 4: return Copy<std::uint32_t>(args).run();
    default: return Copy<std::uint64_t>(args).run();
  }
}

void fill_cpu(const FillArgs& args) {
  switch (args.element) {
    case 1: return fill<std::uint8_t>(args);
    case 2: return fill<std::uint16_t>(args);
    case 4: return fill<std::uint32_t>(args);
    default: return fill<std::uint64_t>(args);
  }
}

}  // namespace g2s::kernels::G2S_ISA
