// The instructions of engine/cuda/ptx.cuh in the emulator. Where the elements of a fragment are is held to two descriptions that do not know
// of each other: the formulas of the PTX manual, and the layouts of CuTe's atoms SM80_16x8x16_F32BF16BF16F32_TN and
// SM80_16x8x8_F32TF32TF32F32_TN as tables of strides.
#include "engine/cuda/ptx.cuh"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/hashed_tensor.h"

using namespace g2s;
using cuda::copy_async, cuda::ldmatrix, cuda::ldmatrix_transposed;

namespace {

enum class Kind { bf16, tf32 };
enum class Matrix { a, b, c };

struct Place {
  int line, along;  // a: row, k; b: column, k; c: row, column
  bool operator==(const Place&) const = default;
};

constexpr int depth(Kind kind) { return kind == Kind::bf16 ? 16 : 8; }
constexpr int lines(Matrix m) { return m == Matrix::b ? 8 : 16; }
constexpr int values(Kind kind, Matrix m) { return m == Matrix::c ? 4 : (kind == Kind::bf16 ? 2 : 1) * (m == Matrix::a ? 4 : 2); }

// The manual: by group and in_group. Value i is element i of the lane, two to a register for bf16.
Place by_manual(Kind kind, Matrix m, int lane, int i) {
  const int group = lane >> 2, in_group = lane % 4;
  if (m == Matrix::c) return {i < 2 ? group : group + 8, in_group * 2 + (i & 1)};
  if (kind == Kind::bf16 && m == Matrix::a) return {(i >= 0 && i < 2) || (i >= 4 && i < 6) ? group : group + 8, in_group * 2 + (i & 1) + (i >= 4 ? 8 : 0)};
  if (kind == Kind::bf16) return {group, in_group * 2 + (i & 1) + (i >= 2 ? 8 : 0)};
  if (m == Matrix::a) return {i == 0 || i == 2 ? group : group + 8, i < 2 ? in_group : in_group + 4};
  return {group, i == 0 ? in_group : in_group + 4};
}

// CuTe: coordinates of a lane (4, 8) and of a value (2, 2, 2), first ones fastest, times strides give line + lines * along.
struct Layout {
  int lane[2];
  int value[3];
};

Layout layout(Kind kind, Matrix m) {
  if (m == Matrix::c) return {{32, 1}, {16, 8, 0}};
  if (kind == Kind::bf16) return m == Matrix::a ? Layout{{32, 1}, {16, 8, 128}} : Layout{{16, 1}, {8, 64, 0}};
  return m == Matrix::a ? Layout{{16, 1}, {8, 64, 0}} : Layout{{8, 1}, {32, 0, 0}};
}

Place by_layout(Kind kind, Matrix m, int lane, int i) {
  const Layout l = layout(kind, m);
  const int at = lane % 4 * l.lane[0] + lane / 4 * l.lane[1] + i % 2 * l.value[0] + i / 2 % 2 * l.value[1] + i / 4 * l.value[2];
  return {at % lines(m), at / lines(m)};
}

using Describe = Place (*)(Kind, Matrix, int, int);

unsigned bits_of(Kind kind, float v) { return kind == Kind::bf16 ? cuda::round_to_bf16(v, 0) : cuda::round_to_tf32(v); }
float rounded(Kind kind, float v) { return std::bit_cast<float>(kind == Kind::bf16 ? bits_of(kind, v) << 16 : bits_of(kind, v)); }

std::vector<float> numbers(const std::string& name, int count) {
  std::vector<float> v(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(hashed_uniform(fnv1a64(name), i));
  return v;
}

// a [16, depth], b [8, depth], c [16, 8]
struct Problem {
  explicit Problem(Kind k) : kind(k), a(numbers("a", 16 * depth(k))), b(numbers("b", 8 * depth(k))), c(numbers("c", 16 * 8)) {
    for (float& v : a) v = rounded(kind, v);
    for (float& v : b) v = rounded(kind, v);
  }
  double want(int row, int column) const {
    double sum = c[static_cast<std::size_t>(row * 8 + column)];
    for (int i = 0; i < depth(kind); ++i)
      sum += static_cast<double>(a[static_cast<std::size_t>(row * depth(kind) + i)]) * b[static_cast<std::size_t>(column * depth(kind) + i)];
    return sum;
  }
  void check(const std::vector<float>& got) const {
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 8; ++column)
        CHECK(got[static_cast<std::size_t>(row * 8 + column)] == doctest::Approx(want(row, column)).epsilon(1e-6));
  }

  Kind kind;
  std::vector<float> a, b, c;
};

void mma(Kind kind, float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  kind == Kind::bf16 ? cuda::mma_bf16(d, a, b) : cuda::mma_tf32(d, a, b);
}

template <int registers>
void take(Kind kind, Matrix m, Describe describe, const float* from, unsigned (&to)[registers]) {
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < values(kind, m); ++i) {
    const Place p = describe(kind, m, lane, i);
    const unsigned bits = bits_of(kind, from[p.line * depth(kind) + p.along]);
    if (kind == Kind::tf32) to[i] = bits;
    else to[i / 2] = i % 2 == 0 ? bits & 0xffffu : to[i / 2] | bits << 16;
  }
}

__global__ void mma_kernel(Kind kind, Describe describe, const float* a, const float* b, float* c) {
  unsigned left[4], right[2];
  float sum[4];
  take(kind, Matrix::a, describe, a, left);
  take(kind, Matrix::b, describe, b, right);
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 4; ++i) {
    const Place p = describe(kind, Matrix::c, lane, i);
    sum[i] = c[p.line * 8 + p.along];
  }
  mma(kind, sum, left, right);
  for (int i = 0; i < 4; ++i) {
    const Place p = describe(kind, Matrix::c, lane, i);
    c[p.line * 8 + p.along] = sum[i];
  }
}

class WithOrder {
 public:
  explicit WithOrder(simt::Order order) { simt::set_order(order); }
  ~WithOrder() { simt::set_order(simt::Order::forward); }
};

// Matrices of 16-bit elements in shared memory: as rows of k, and with k as rows.
struct Operands {
  alignas(16) std::uint16_t a[16][16], b[8][16], a_by_k[16][24], b_by_k[16][8];
};

// The product from fragments that ldmatrix brings, `way` by `way`.
__global__ void loaded_kernel(int way, const float* a, const float* b, float* c) {
  auto& s = cuda::shared<Operands>();
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 16 * 16; i += 32) s.a[i / 16][i % 16] = s.a_by_k[i % 16][i / 16] = static_cast<std::uint16_t>(bits_of(Kind::bf16, a[i]));
  for (int i = lane; i < 8 * 16; i += 32) s.b[i / 16][i % 16] = s.b_by_k[i % 16][i / 16] = static_cast<std::uint16_t>(bits_of(Kind::bf16, b[i]));
  __syncthreads();
  unsigned left[4], right[2];
  if (way == 0) {
    ldmatrix(left, &s.a[lane % 16][lane / 16 * 8]);
    ldmatrix(right, lane < 16 ? &s.b[lane % 8][lane / 8 * 8] : nullptr);
  } else if (way == 1) {
    ldmatrix_transposed(left, &s.a_by_k[lane % 8 + lane / 16 * 8][lane / 8 % 2 * 8]);
    ldmatrix_transposed(right, lane < 16 ? &s.b_by_k[lane][0] : nullptr);
  } else {
    unsigned one[1];
    for (int i = 0; i < 4; ++i) {
      if (way == 2) ldmatrix(one, &s.a[lane % 8 + i % 2 * 8][i / 2 * 8]);
      else ldmatrix_transposed(one, &s.a_by_k[lane % 8 + i / 2 * 8][i % 2 * 8]);
      left[i] = one[0];
    }
    for (int i = 0; i < 2; ++i) {
      if (way == 2) ldmatrix(one, &s.b[lane % 8][i * 8]);
      else ldmatrix_transposed(one, &s.b_by_k[lane % 8 + i * 8][0]);
      right[i] = one[0];
    }
  }
  float sum[4];
  for (int i = 0; i < 4; ++i) sum[i] = c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2];
  cuda::mma_bf16(sum, left, right);
  for (int i = 0; i < 4; ++i) c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = sum[i];
}

// 32-bit elements pass through ldmatrix as rows of four.
struct Wide {
  alignas(16) float a[16][8], b[8][8];
};

__global__ void wide_kernel(const float* a, const float* b, float* c) {
  auto& s = cuda::shared<Wide>();
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 16 * 8; i += 32) s.a[i / 8][i % 8] = a[i];
  for (int i = lane; i < 8 * 8; i += 32) s.b[i / 8][i % 8] = b[i];
  __syncthreads();
  unsigned left[4], right[2];
  ldmatrix(left, &s.a[lane % 16][lane / 16 * 4]);
  ldmatrix(right, lane < 16 ? &s.b[lane % 8][lane / 8 * 4] : nullptr);
  float sum[4];
  for (int i = 0; i < 4; ++i) sum[i] = c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2];
  cuda::mma_tf32(sum, left, right);
  for (int i = 0; i < 4; ++i) c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = sum[i];
}

struct Copied {
  alignas(16) float v[32 * 8];
};

// Two groups of copies, of which all but the last `most` are waited for: 16 bytes, then 4 of them, zeros, 8.
template <int most>
__global__ void copy_kernel(const float* from, float* to) {
  auto& s = cuda::shared<Copied>();
  float* mine = s.v + threadIdx.x * 8;
  const float* x = from + threadIdx.x * 8;
  copy_async<16>(mine, x, true);
  cuda::commit_copies();
  copy_async<4>(mine + 4, x + 4, true);
  copy_async<4>(mine + 5, x + 5, false);
  copy_async<8>(mine + 6, x + 6, true);
  cuda::commit_copies();
  cuda::wait_for_copies<most>();
  __syncthreads();
  for (int i = 0; i < 8; ++i) to[threadIdx.x * 8 + i] = s.v[(threadIdx.x + 1) % 32 * 8 + i];
}

template <class Bad>
__global__ void bad_kernel(Bad bad) {
  bad(cuda::shared<Copied>());
}

template <class Bad>
std::string complaint(Bad bad) {
  try {
    cuda::launch({"bad", 1, 32, sizeof(Copied)}, bad_kernel<Bad>, bad);
  } catch (const Error& e) {
    return e.what();
  }
  return "none";
}

template <int most>
std::vector<float> copied(const std::vector<float>& from) {
  std::vector<float> to(from.size());
  cuda::launch({"copy", 1, 32, sizeof(Copied)}, copy_kernel<most>, from.data(), to.data());
  return to;
}

}  // namespace

TEST_CASE("fragments: two descriptions agree, and cover each element once") {
  for (Kind kind : {Kind::bf16, Kind::tf32})
    for (Matrix m : {Matrix::a, Matrix::b, Matrix::c}) {
      const int width = m == Matrix::c ? 8 : depth(kind);
      std::vector<int> met(static_cast<std::size_t>(lines(m) * width));
      for (int lane = 0; lane < 32; ++lane)
        for (int i = 0; i < values(kind, m); ++i) {
          const Place p = by_manual(kind, m, lane, i);
          CHECK(p == by_layout(kind, m, lane, i));
          ++met.at(static_cast<std::size_t>(p.line * width + p.along));
        }
      for (int n : met) CHECK(n == 1);
    }
}

TEST_CASE("mma multiplies fragments of either description") {
  for (simt::Order order : {simt::Order::forward, simt::Order::reverse, simt::Order::shuffle})
    for (Kind kind : {Kind::bf16, Kind::tf32})
      for (Describe describe : {by_manual, by_layout}) {
        const WithOrder with(order);
        const Problem p(kind);
        std::vector<float> c = p.c;
        cuda::launch({"mma", 1, 32}, mma_kernel, kind, describe, p.a.data(), p.b.data(), c.data());
        p.check(c);
      }
}

TEST_CASE("ldmatrix brings the fragments of mma") {
  for (int way = 0; way < 4; ++way) {
    const Problem p(Kind::bf16);
    std::vector<float> c = p.c;
    cuda::launch({"loaded", 1, 32, sizeof(Operands)}, loaded_kernel, way, p.a.data(), p.b.data(), c.data());
    p.check(c);
  }
  const Problem p(Kind::tf32);
  std::vector<float> c = p.c;
  cuda::launch({"wide", 1, 32, sizeof(Wide)}, wide_kernel, p.a.data(), p.b.data(), c.data());
  p.check(c);
}

TEST_CASE("mma looks at 19 bits of a tf32") {
  Problem p(Kind::tf32);
  std::vector<float> c = p.c, exact = p.c;
  cuda::launch({"wide", 1, 32, sizeof(Wide)}, wide_kernel, p.a.data(), p.b.data(), exact.data());
  for (float& v : p.a) v = std::bit_cast<float>(std::bit_cast<unsigned>(v) | 0x1fffu);
  cuda::launch({"wide", 1, 32, sizeof(Wide)}, wide_kernel, p.a.data(), p.b.data(), c.data());
  CHECK(c == exact);
}

TEST_CASE("asynchronous copies arrive when they are waited for") {
  for (simt::Order order : {simt::Order::forward, simt::Order::reverse, simt::Order::shuffle}) {
    const WithOrder with(order);
    const std::vector<float> from = numbers("copied", 32 * 8), all = copied<0>(from), first = copied<1>(from), none = copied<2>(from);
    for (std::size_t i = 0; i < from.size(); ++i) {
      const std::size_t source = (i + 8) % from.size();
      CHECK(all[i] == (i % 8 == 5 ? 0.0f : from[source]));
      if (i % 8 < 4) CHECK(first[i] == from[source]);
      else CHECK(std::isnan(first[i]));
      CHECK(std::isnan(none[i]));
    }
  }
}

TEST_CASE("ptx: what a device would not do either is found") {
  const std::vector<float> from = numbers("from", 64);
  const float* x = from.data();
  float elsewhere[8] = {};
  float* away = elsewhere;
  CHECK(complaint([=](Copied& s) { copy_async<16>(s.v + 1, x, true); }).find("not aligned") != std::string::npos);
  CHECK(complaint([=](Copied& s) { copy_async<16>(s.v + 256, x, true); }).find("elsewhere") != std::string::npos);
  CHECK(complaint([=](Copied&) { copy_async<4>(away, x, true); }).find("elsewhere") != std::string::npos);
  CHECK(complaint([=](Copied& s) {
          unsigned to[4];
          ldmatrix(to, s.v + 1);
        }).find("not aligned") != std::string::npos);
  CHECK(complaint([=](Copied& s) {
          unsigned to[4];
          ldmatrix(to, s.v + 256);
        }).find("elsewhere") != std::string::npos);
  CHECK(complaint([=](Copied& s) {
          unsigned to[1];
          if (threadIdx.x < 8) ldmatrix(to, s.v + threadIdx.x * 4);
        }).find("warp operation") != std::string::npos);
}

TEST_CASE("rounding to bf16 and tf32") {
  // By way of numbers: v = q * step with step the distance of neighbours, and q rounded.
  const auto nearest = [](float v, int bits, bool ties_to_even) {
    int exponent;
    std::frexp(v, &exponent);
    const double step = std::ldexp(1.0, exponent - bits), q = v / step;
    return static_cast<float>((ties_to_even ? std::nearbyint(q) : std::round(q)) * step);
  };
  std::vector<float> tried = {0.0f, -0.0f, 1.0f, 1.00390625f, 1.01171875f, -1.00390625f, 1.00048828125f, -1.00048828125f, 1.99999988f, 3e38f, 1e-30f};
  for (float v : numbers("rounding", 2000)) tried.push_back(v * 10);
  for (float v : tried) {
    CHECK(std::bit_cast<float>(cuda::round_to_bf16(v, 7) << 16) == nearest(v, 8, true));
    CHECK(std::bit_cast<float>(cuda::round_to_bf16(7, v) & 0xffff0000u) == nearest(v, 8, true));
    CHECK(std::bit_cast<float>(cuda::round_to_tf32(v)) == nearest(v, 11, false));
  }
  CHECK(cuda::round_to_bf16(1, 2) == 0x40003f80u);
  CHECK(std::isnan(std::bit_cast<float>(cuda::round_to_tf32(NAN))));
  CHECK(std::isinf(std::bit_cast<float>(cuda::round_to_tf32(INFINITY))));
  CHECK(std::isnan(std::bit_cast<float>(cuda::round_to_bf16(NAN, NAN) << 16)));
}
