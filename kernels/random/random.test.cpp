#include "kernels/random/random.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "kernels/random/random_args.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;

TEST_CASE("random: the published test vectors of Philox 4x32-10") {
  // Random123 (Salmon et al.), kat_vectors.
  struct Vector {
    std::uint32_t counter[4], key[2], want[4];
  };
  const std::uint32_t ones = 0xffffffffu;
  const Vector vectors[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{ones, ones, ones, ones}, {ones, ones}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Vector& v : vectors) {
    std::uint32_t got[4];
    kernels::philox_cpu({{v.counter[0], v.counter[1], v.counter[2], v.counter[3]}, {v.key[0], v.key[1]}, got});
    for (int i = 0; i < 4; ++i) CHECK(got[i] == v.want[i]);
  }
}

namespace {

struct Moments {
  double mean = 0, variance = 0, skewness = 0, kurtosis = 0;
};

Moments moments(const std::vector<float>& x) {
  Moments m;
  double n = static_cast<double>(x.size());
  for (float v : x) m.mean += v / n;
  for (float v : x) m.variance += (v - m.mean) * (v - m.mean) / n;
  for (float v : x) {
    double z = (v - m.mean) / std::sqrt(m.variance);
    m.skewness += z * z * z / n;
    m.kurtosis += z * z * z * z / n;
  }
  return m;
}

// The largest distance between the empirical and the true distribution function, times sqrt(n) (Kolmogorov and Smirnov).
template <class Distribution>
double ks(std::vector<float> x, Distribution f) {
  std::sort(x.begin(), x.end());
  double n = static_cast<double>(x.size()), worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    double p = f(x[i]);
    worst = std::max({worst, std::abs(p - static_cast<double>(i) / n), std::abs(p - static_cast<double>(i + 1) / n)});
  }
  return worst * std::sqrt(n);
}

constexpr std::int64_t many = 1 << 20;

}  // namespace

TEST_CASE("random: uniform numbers") {
  std::vector<float> x = Random(1, "uniform").uniform({many}).to_vector<float>();
  CHECK(*std::min_element(x.begin(), x.end()) >= 0);
  CHECK(*std::max_element(x.begin(), x.end()) < 1);
  Moments m = moments(x);
  CHECK(m.mean == doctest::Approx(0.5).epsilon(0.003));
  CHECK(m.variance == doctest::Approx(1.0 / 12).epsilon(0.006));
  CHECK(ks(x, [](double v) { return v; }) < 1.95);  // exceeded once in a thousand

  // Neighbours are independent: a chi-squared test on 16 x 16 cells, 255 degrees of freedom.
  std::vector<double> cells(256, 0);
  for (std::size_t i = 0; i + 1 < x.size(); i += 2) ++cells[static_cast<std::size_t>(x[i] * 16) * 16 + static_cast<std::size_t>(x[i + 1] * 16)];
  double expected = many / 2.0 / 256, chi2 = 0;
  for (double c : cells) chi2 += (c - expected) * (c - expected) / expected;
  CHECK(chi2 < 330);  // 255 +- 22.6
  CHECK(chi2 > 180);
}

TEST_CASE("random: uniform numbers stay below the upper bound in f32") {
  for (double hi : {-1.0 + 1e-6, -0.25, 1e8}) {
    std::vector<float> x = Random(2).uniform({many / 4}, -1, hi).to_vector<float>();
    CHECK(*std::max_element(x.begin(), x.end()) < static_cast<float>(hi));
    CHECK(*std::min_element(x.begin(), x.end()) >= -1.0f);
  }
}

TEST_CASE("random: normal numbers") {
  std::vector<float> x = Random(1, "normal").normal({many}).to_vector<float>();
  Moments m = moments(x);
  CHECK(std::abs(m.mean) < 0.004);
  CHECK(std::abs(m.variance - 1) < 0.006);
  CHECK(std::abs(m.skewness) < 0.01);
  CHECK(std::abs(m.kurtosis - 3) < 0.02);
  CHECK(ks(x, [](double v) { return 0.5 * std::erfc(-v / std::sqrt(2.0)); }) < 1.95);
  float largest = 0;
  for (float v : x) largest = std::max(largest, std::abs(v));
  CHECK(largest > 4.2f);
  CHECK(largest < 6.7f);
  double product[3] = {};  // of neighbours at distance 1, 2, 3
  for (std::size_t i = 0; i + 3 < x.size(); ++i)
    for (std::size_t d = 1; d <= 3; ++d) product[d - 1] += double{x[i]} * x[i + d] / many;
  for (double p : product) CHECK(std::abs(p) < 0.004);

  Tensor shifted = Random(1, "normal").normal({1000}, 3, 0.5);
  for (int i = 0; i < 1000; ++i) CHECK(shifted.data<float>()[i] == doctest::Approx(3 + 0.5 * x[static_cast<std::size_t>(i)]).epsilon(1e-6));
}

TEST_CASE("random: Box and Muller against the same words through libm") {
  const std::uint32_t key[2] = {0x12345678u, 0x9abcdef0u};
  std::vector<float> z(16384);
  kernels::normal_cpu({key[0] | std::uint64_t{key[1]} << 32, 5, 16384, z.data(), 0, 1, 0});
  for (std::uint32_t block = 0; block < 4096; ++block) {
    std::uint32_t w[4];
    kernels::philox_cpu({{block + 5, 0, 0, 0}, {key[0], key[1]}, w});
    for (std::size_t j = 0; j < 4; j += 2) {
      double radius = std::sqrt(-2 * std::log((w[j] + 0.5) * 0x1p-32)), angle = 6.283185307179586 * 0x1p-32 * w[j + 1];
      double slack = 3e-7 * radius + 1e-7 / radius;  // a word next to 2^32 is rounded before its logarithm
      CHECK(std::abs(z[4 * block + j] - radius * std::cos(angle)) < slack);
      CHECK(std::abs(z[4 * block + j + 1] - radius * std::sin(angle)) < slack);
    }
  }
}

TEST_CASE("random: the same numbers at any number of threads and whatever was asked for at once") {
  auto draw = [](int threads, bool normal, std::int64_t n) {
    test::Threads guard(threads);
    Random r(7, "threads");
    return normal ? r.normal({n}) : r.uniform({n});
  };
  for (bool normal : {false, true}) {
    Tensor one = draw(1, normal, 100003);
    for (int threads : {2, 3, 8}) CHECK(test::same_bits(one, draw(threads, normal, 100003)));
    for (std::int64_t n : {1, 2, 3, 4, 5, 255, 256, 257, 4096, 4097}) {
      Tensor part = draw(1, normal, n);
      CHECK(std::equal(part.data<float>(), part.data<float>() + n, one.data<float>()));
    }
    // In parts, each of which starts at a block of four.
    Random r(7, "threads");
    std::int64_t at = 0;
    for (std::int64_t n : {4, 8, 100, 4000}) {
      Tensor part = normal ? r.normal({n}) : r.uniform({n});
      CHECK(std::equal(part.data<float>(), part.data<float>() + n, one.data<float>() + at));
      at += n;
    }
    CHECK(r.position() == static_cast<std::uint64_t>(at / 4));
    r.seek(1);
    Tensor again = normal ? r.normal({5}) : r.uniform({5});
    CHECK(std::equal(again.data<float>(), again.data<float>() + 5, one.data<float>() + 4));
    CHECK(r.position() == 3);
  }
}

TEST_CASE("random: f64 numbers are the f32 ones, so that a run in double draws the same") {
  Tensor a = Random(3, "x").normal({100}), b = Random(3, "x").normal({100}, 0, 1, DType::f64);
  CHECK(b.dtype() == DType::f64);
  CHECK(test::same_bits(a.to(DType::f64), b));
}

TEST_CASE("random: the bits are pinned, for other devices and later versions") {
  std::vector<float> u = Random(1234, "pinned").uniform({6}).to_vector<float>(), z = Random(1234, "pinned").normal({6}).to_vector<float>();
  const std::vector<float> want_u = {0x1.cd8854p-2f, 0x1.759bc4p-2f, 0x1.0521ecp-1f, 0x1.355174p-2f, 0x1.1e325ep-1f, 0x1.ba6a6p-5f}, want_z = {-0x1.ab0308p-1f, 0x1.e5423ap-1f, -0x1.7ddaeep-2f,
                                    0x1.19501ep+0f,  0x1.045deap+0f, 0x1.6f9e7ap-2f};
  CHECK(u == want_u);
  CHECK(z == want_z);
  CHECK(Random(1234, "pinned").permutation(8) == std::vector<std::int64_t>{4, 7, 5, 1, 3, 6, 0, 2});
}

TEST_CASE("random: on the device" * doctest::skip(test::no_test_device())) {
  const Device device = test::test_device();
  auto draw = [](Device where, const char* what, std::int64_t n, std::uint64_t position) {
    DefaultDevice guard(where);
    Random r(9, what);
    r.seek(position);
    Tensor x = what[0] == 'n' ? r.normal({n}, 0.25, 3) : r.uniform({n}, -2, 1 + 1e-6);
    CHECK(x.device() == where);
    return x.to(Device{});
  };
  // Every length of the last block, and a position whose counter carries into its second word.
  for (const char* what : {"normal", "uniform"})
    for (std::int64_t n : {1, 2, 3, 4, 1023, 1024, 1025, 300007})
      for (std::uint64_t position : {std::uint64_t{0}, std::uint64_t{5}, (std::uint64_t{1} << 32) - 2}) {
        CAPTURE(what);
        CAPTURE(n);
        CHECK(test::same_bits(draw(device, what, n, position), draw(Device{}, what, n, position)));
      }
  DefaultDevice guard(device);
  CHECK(Random(3).normal({100}, 0, 1, DType::f64).device() == device);
  CHECK(Random(3).normal({0}).numel() == 0);
}

TEST_CASE("random: streams and seeds differ") {
  auto first = [](std::uint64_t seed, const char* stream) { return Random(seed, stream).uniform({1000}); };
  std::vector<Tensor> all = {first(0, ""), first(1, ""), first(0, "a"), first(0, "b"), first(1, "a"), first(std::uint64_t{1} << 63, "")};
  for (std::size_t i = 0; i < all.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      double correlation = 0;
      for (int k = 0; k < 1000; ++k) correlation += (double{all[i].data<float>()[k]} - 0.5) * (double{all[j].data<float>()[k]} - 0.5) * 12 / 1000;
      CHECK(std::abs(correlation) < 0.13);
    }
}

TEST_CASE("random: permutations") {
  Random r(5, "permutation");
  std::vector<std::int64_t> p = r.permutation(1001), sorted = p;
  std::sort(sorted.begin(), sorted.end());
  for (std::int64_t i = 0; i < 1001; ++i) CHECK(sorted[static_cast<std::size_t>(i)] == i);
  CHECK(r.permutation(1001) != p);
  CHECK(r.permutation(0).empty());
  CHECK(r.permutation(1) == std::vector<std::int64_t>{0});
  // All 24 orders of four are equally frequent: chi-squared with 23 degrees of freedom.
  std::vector<double> count(256, 0);
  for (int i = 0; i < 24000; ++i) {
    std::vector<std::int64_t> q = r.permutation(4);
    ++count[static_cast<std::size_t>(q[0] * 64 + q[1] * 16 + q[2] * 4 + q[3])];
  }
  double chi2 = 0;
  int orders = 0;
  for (double c : count) {
    if (c == 0) continue;
    ++orders;
    chi2 += (c - 1000) * (c - 1000) / 1000;
  }
  CHECK(orders == 24);
  CHECK(chi2 < 50);
}

TEST_CASE("random: errors") {
  Random r(1);
  CHECK_THROWS_WITH(r.uniform({2}, 1, 1), "uniform: the range 1 to 1 is empty");
  CHECK_THROWS_AS(r.normal({2}, 0, -1), Error);
  CHECK_THROWS_WITH(r.normal({2}, 0, 1, DType::i32), "normal: gives f32 or f64, not i32 [2]");
  CHECK_THROWS_AS(r.permutation(-1), Error);
  CHECK(r.position() == 0);
}
