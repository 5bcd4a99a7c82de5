// Wrong kernels, each with one planted defect: the emulator says which, or a sanitizer does. A defect that ends the process runs in a
// process of its own, as a test case that is skipped otherwise.
#include <doctest/doctest.h>

#include <unistd.h>

#include <climits>
#include <cmath>
#include <vector>

#include "engine/cuda/launch.cuh"
#include "engine/error.h"
#include "engine/parallel.h"
#include "engine/tensor.h"
#include "tests/cli/program.h"
#include "tests/simt/orders.h"
#include "tests/support/skip.h"

using namespace g2s;
using namespace g2s::test;
using cuda::launch;

namespace {

constexpr unsigned whole = 0xffffffffu;

struct Tile {
  float values[64];
};

__global__ void reverse(const float* x, float* y, bool barrier) {
  auto& s = cuda::shared<Tile>();
  s.values[threadIdx.x] = x[threadIdx.x];
  if (barrier) __syncthreads();
  y[threadIdx.x] = s.values[63 - threadIdx.x];
}

// The second phase lacks a barrier: everybody reads what a neighbour has just changed.
__global__ void second_phase(float* y, bool barrier) {
  auto& s = cuda::shared<Tile>();
  s.values[threadIdx.x] = static_cast<float>(threadIdx.x);
  __syncthreads();
  const float mine = s.values[threadIdx.x];
  __syncthreads();
  s.values[threadIdx.x] = 2 * mine;
  if (barrier) __syncthreads();
  y[blockIdx.x * 64 + threadIdx.x] = s.values[(threadIdx.x + 1) % 64];
}

// As before, within a warp.
__global__ void second_phase_of_warp(float* y, bool barrier) {
  auto& s = cuda::shared<Tile>();
  const unsigned other = (threadIdx.x + 1) % 16 + threadIdx.x / 16 * 16, mask = threadIdx.x % 32 < 16 ? 0xffffu : 0xffff0000u;
  const float mine = __shfl_sync(whole, static_cast<float>(threadIdx.x), 31);
  s.values[threadIdx.x] = __shfl_sync(mask, mine, static_cast<int>(threadIdx.x / 16 * 16));
  if (barrier) __syncwarp(mask);
  y[blockIdx.x * 64 + threadIdx.x] = s.values[other];
}

__global__ void two_barriers() {
  if (threadIdx.x < 16) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void barrier_for_some(float* y) {
  if (threadIdx.x < 16) __syncthreads();
  y[threadIdx.x] = cuda::warp_sum(1.f);
}

__global__ void loop_of_barriers(float* y) {
  for (unsigned i = 0; i <= threadIdx.x / 32; ++i) __syncthreads();
  __syncthreads();
  y[threadIdx.x] = 0;
}

__global__ void past_shared(float* y, int where) {
  auto& s = cuda::shared<Tile>();
  if (threadIdx.x == 5) s.values[where] = 2;
  y[threadIdx.x] = 0;
}

__global__ void reads_past_shared(float* y, int where) {
  auto& s = cuda::shared<Tile>();
  s.values[threadIdx.x] = 1;
  y[threadIdx.x] = s.values[threadIdx.x + static_cast<unsigned>(where)];
}

__global__ void never_written(float* y) {
  auto& s = cuda::shared<Tile>();
  if (threadIdx.x != 40) s.values[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s.values[threadIdx.x];
}

__global__ void too_little_asked(float* y) { y[threadIdx.x] = cuda::shared<Tile>().values[0]; }

__global__ void by_neighbour(float* y) { y[threadIdx.x] = threadIdx.x == 0 ? 1 : y[threadIdx.x - 1] + 1; }

__global__ void last_block_wins(float* y) { y[0] = static_cast<float>(blockIdx.x); }

__global__ void names_exited(float* y) {
  if (threadIdx.x >= 16) return;
  y[threadIdx.x] = cuda::warp_sum(1.f);
}

__global__ void outside_its_mask(float* y) { y[threadIdx.x] = __shfl_xor_sync(0xffffu, 1.f, 1); }

__global__ void reads_outside_mask(float* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_xor_sync(0xffffu, 1.f, 16);
}

__global__ void reads_no_lane(float* y) { y[threadIdx.x] = __shfl_xor_sync(whole, 1.f, 16); }

__global__ void names_no_lane(float* y) { y[threadIdx.x] = __shfl_sync(0x0fffffffu, 1.f, 0); }

__global__ void copy_one_more(const float* x, float* y, std::int64_t count) {
  for (std::int64_t i = threadIdx.x; i <= count; i += blockDim.x) y[0] = x[i];
}

Tensor on_device(std::int64_t count) { return Tensor::zeros({count}, DType::f32, Device{DeviceType::cuda, 0}); }

template <class K, class... A> void refused(const char* why, cuda::Launch l, K kernel, A... arguments) {
  in_every_order([&] { CHECK_THROWS_WITH_AS(launch(l, kernel, arguments...), doctest::Contains(why), Error); });
}

// What `kernel` leaves in 64 numbers for each block, in each order.
template <class K, class... A> std::vector<std::vector<float>> results(unsigned blocks, K kernel, A... arguments) {
  std::vector<std::vector<float>> all;
  in_every_order([&] {
    all.emplace_back(64 * blocks, 0.f);
    launch({"planted", blocks, 64, sizeof(Tile)}, kernel, all.back().data(), arguments...);
  });
  return all;
}

template <class K, class... A> bool depends_on_order(unsigned blocks, K kernel, A... arguments) {
  const auto all = results(blocks, kernel, arguments...);
  return all[0] != all[1] || all[0] != all[2];
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool accesses_watched = true;
#else
constexpr bool accesses_watched = false;
#endif
#if defined(__SANITIZE_THREAD__)
constexpr bool races_watched = true;
#else
constexpr bool races_watched = false;
#endif

Outcome run_planted(const std::string& name) {
  char self[PATH_MAX] = {};
  REQUIRE(::readlink("/proc/self/exe", self, sizeof self - 1) > 0);
  return run_program({"--no-skip=true", "--test-case=planted: " + name}, {.program = self});
}

void sanitizer_says(const std::string& name, const std::string& what) {
  const Outcome outcome = run_planted(name);
  CAPTURE(name);
  CAPTURE(outcome.err);
  CHECK(outcome.code != 0);
  CHECK(outcome.err.find(what) != std::string::npos);
  CHECK(outcome.err.find("defects.test.cu") != std::string::npos);
}

void sanitizer_is_silent(const std::string& name) {
  const Outcome outcome = run_planted(name);
  CAPTURE(name);
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(outcome.out.find("test cases: 1 | 1 passed") != std::string::npos);
}

}  // namespace

TEST_CASE("simt: a missing barrier makes results depend on the order") {
  if (races_watched) return skip("ThreadSanitizer would report it");
  std::vector<float> x(64);
  for (int i = 0; i < 64; ++i) x[i] = static_cast<float>(i);
  const float* from = x.data();
  auto run = [&](bool barrier) {
    std::vector<std::vector<float>> all;
    in_every_order([&] {
      all.emplace_back(64, 0.f);
      launch({"reverse", 1, 64, sizeof(Tile)}, reverse, from, all.back().data(), barrier);
    });
    return all;
  };
  const auto right = run(true), wrong = run(false);
  CHECK(right[0] == right[1]);
  CHECK(right[0] == right[2]);
  CHECK(right[0][0] == 63);
  CHECK((wrong[0] != wrong[1] || wrong[0] != wrong[2]));
  CHECK(!depends_on_order(1, second_phase, true));
  CHECK(depends_on_order(1, second_phase, false));
  CHECK(!depends_on_order(1, second_phase_of_warp, true));
  CHECK(depends_on_order(1, second_phase_of_warp, false));
}

TEST_CASE("simt: lanes and blocks that read what others have left depend on the order") {
  if (races_watched) return skip("ThreadSanitizer would report it");
  CHECK(depends_on_order(1, by_neighbour));
  CHECK(depends_on_order(4, last_block_wins));
}

TEST_CASE("simt: barriers that not all lanes reach") {
  std::vector<float> y(128);
  refused("planted: the kernel is wrong: threads", {"planted", 1, 64}, two_barriers);
  refused("wait at different barriers, defects.test.cu:", {"planted", 1, 64}, two_barriers);
  refused("and others never come there", {"planted", 1, 32}, barrier_for_some, y.data());
  refused("wait at different barriers", {"planted", 1, 128}, loop_of_barriers, y.data());
  CHECK_THROWS_WITH_AS(__syncthreads(), doctest::Contains("simt: a barrier outside a kernel, at defects.test.cu:"), Error);
}

TEST_CASE("simt: writes outside shared memory") {
  if (accesses_watched) return sanitizer_says("write past shared memory", "use-after-poison");
  std::vector<float> y(64);
  refused("it wrote outside its 256 bytes of shared memory", {"planted", 1, 64, sizeof(Tile)}, past_shared, y.data(), 64);
  refused("it wrote outside its 256 bytes of shared memory", {"planted", 1, 64, sizeof(Tile)}, past_shared, y.data(), -1);
  launch({"planted", 1, 64, sizeof(Tile)}, past_shared, y.data(), 63);
}

TEST_CASE("simt: shared memory that nobody wrote is NaN") {
  for (const std::vector<float>& y : results(1, never_written))
    for (int i = 0; i < 64; ++i) CHECK(std::isnan(y[i]) == (i == 40));
}

TEST_CASE("simt: more shared memory than the launch asked for") {
  std::vector<float> y(64);
  refused("more shared memory is used than the launch asked for, at defects.test.cu:", {"planted", 1, 64, 16}, too_little_asked, y.data());
}

TEST_CASE("simt: warp operations with wrong masks") {
  std::vector<float> y(64);
  refused("names lane 16, which has exited", {"planted", 1, 32}, names_exited, y.data());
  refused("is called by a lane that its mask leaves out", {"planted", 1, 32}, outside_its_mask, y.data());
  refused("a lane reads from one that the mask leaves out", {"planted", 1, 32}, reads_outside_mask, y.data());
  refused("a lane reads from one that the block has not", {"planted", 1, 8}, reads_no_lane, y.data());
  refused("names lane 8, which the block has not", {"planted", 1, 8}, names_no_lane, y.data());
  CHECK_THROWS_WITH_AS(__syncwarp(), doctest::Contains("simt: a warp operation outside a kernel"), Error);
}

TEST_CASE("simt: after an error the emulator goes on") {
  std::vector<float> y(64);
  for (int i = 0; i < 3; ++i) CHECK_THROWS_AS(launch({"planted", 40, 64}, two_barriers), Error);
  CHECK(!depends_on_order(1, second_phase, true));
}

TEST_CASE("simt: AddressSanitizer sees accesses outside memory") {
  if (!accesses_watched) return skip("needs a build with AddressSanitizer");
  sanitizer_says("read past shared memory", "use-after-poison");
  sanitizer_says("read past a tensor", "use-after-poison");
  sanitizer_says("read of a released tensor", "use-after-poison");
  sanitizer_says("read past the host's memory", "heap-buffer-overflow");
}

TEST_CASE("simt: ThreadSanitizer sees missing barriers, and no others") {
  if (!races_watched) return skip("needs a build with ThreadSanitizer");
  for (const char* name : {"missing barrier", "missing barrier in a later phase", "missing barrier of a warp"})
    sanitizer_says(name, "data race");
  sanitizer_is_silent("no barrier is missing");
}

TEST_CASE("planted: write past shared memory" * doctest::skip()) { results(1, past_shared, 64); }
TEST_CASE("planted: read past shared memory" * doctest::skip()) { results(1, reads_past_shared, 1); }
TEST_CASE("planted: read past a tensor" * doctest::skip()) {
  const Tensor x = on_device(1000);
  Tensor y = on_device(1);
  launch({"planted", 1, 32}, copy_one_more, x.ptr<float>(), y.mutable_ptr<float>(), std::int64_t{1000});
}
TEST_CASE("planted: read of a released tensor" * doctest::skip()) {
  Tensor x = on_device(1000), y = on_device(1);
  const float* from = x.ptr<float>();
  x = {};
  launch({"planted", 1, 32}, copy_one_more, from, y.mutable_ptr<float>(), std::int64_t{10});
}
TEST_CASE("planted: read past the host's memory" * doctest::skip()) {
  std::vector<float> x(1000), y(1);
  launch({"planted", 1, 32}, copy_one_more, static_cast<const float*>(x.data()), y.data(), std::int64_t{1000});
}
TEST_CASE("planted: missing barrier" * doctest::skip()) {
  const std::vector<float> x(64);
  std::vector<float> y(64);
  launch({"planted", 1, 64, sizeof(Tile)}, reverse, x.data(), y.data(), false);
}
TEST_CASE("planted: missing barrier in a later phase" * doctest::skip()) { results(1, second_phase, false); }
TEST_CASE("planted: missing barrier of a warp" * doctest::skip()) { results(1, second_phase_of_warp, false); }
TEST_CASE("planted: no barrier is missing" * doctest::skip()) {
  results(200, second_phase, true);
  results(200, second_phase_of_warp, true);
}
