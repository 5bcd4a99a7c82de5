// The emulator runs right kernels rightly, in every order and on any number of host threads.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "engine/context.h"
#include "engine/cuda/divisor.cuh"
#include "engine/cuda/launch.cuh"
#include "engine/error.h"
#include "engine/parallel.h"
#include "tests/simt/orders.h"

using namespace g2s;
using namespace g2s::test;
using cuda::launch;

namespace {

constexpr unsigned whole = 0xffffffffu;

template <class F> void everywhere(F f) {
  for (int threads : {1, 2, 3}) {
    const WithThreads with(threads);
    in_every_order(f);
  }
}

__global__ void number(int* out, int* visits) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const unsigned i = block * blockDim.x * blockDim.y * blockDim.z + thread;
  out[i] = static_cast<int>(i);
  visits[i] += 1;
}

__global__ void place(int* visits, unsigned rows, cuda::FirstBlock first) {
  visits[(std::size_t{first.z + blockIdx.z} * rows + first.y + blockIdx.y) * gridDim.x + blockIdx.x] += 1;
}

struct Sums {
  int values[256];
};

// A tree in shared memory.
__global__ void block_sums(const int* x, int* sums) {
  auto& s = cuda::shared<Sums>();
  const unsigned t = threadIdx.x;
  s.values[t] = x[blockIdx.x * blockDim.x + t];
  __syncthreads();
  for (unsigned step = blockDim.x / 2; step > 0; step /= 2) {
    if (t < step) s.values[t] += s.values[t + step];
    __syncthreads();
  }
  if (t == 0) sums[blockIdx.x] = s.values[0];
}

struct WarpSums {
  int warps[cuda::most_warps];
};

__global__ void block_sums_by_warps(const int* x, int* sums) {
  auto& s = cuda::shared<WarpSums>();
  int total = 0;
  for (int round = 0; round < 3; ++round) total = cuda::block_sum(x[blockIdx.x * blockDim.x + threadIdx.x], s.warps);
  sums[blockIdx.x * blockDim.x + threadIdx.x] = total;
}

struct Shuffled {
  int by_index, by_bits, up, index_of_8, bits_of_8, up_of_8;
};

__global__ void shuffles(Shuffled* out) {
  const int lane = static_cast<int>(threadIdx.x), v = 100 + lane;
  out[lane] = {__shfl_sync(whole, v, 31 - lane), __shfl_xor_sync(whole, v, 5),    __shfl_up_sync(whole, v, 3),
               __shfl_sync(whole, v, 9, 8),      __shfl_xor_sync(whole, v, 9, 8), __shfl_up_sync(whole, v, 3, 8)};
}

// Halves of a warp, which go different ways and shuffle a different number of times.
__global__ void halves(int* out) {
  int v = static_cast<int>(threadIdx.x);
  if (threadIdx.x < 16) {
    for (int bits = 1; bits < 16; bits *= 2) v += __shfl_xor_sync(0x0000ffffu, v, bits);
  } else {
    for (int round = 0; round < 3; ++round) v = __shfl_sync(0xffff0000u, v, 16 + static_cast<int>(threadIdx.x + 1) % 16);
  }
  __syncwarp();
  out[threadIdx.x] = v;
}

__global__ void votes(unsigned* out) {
  const bool odd = threadIdx.x % 2 == 1;
  const unsigned ballot = __ballot_sync(whole, odd);
  const unsigned half = threadIdx.x % 32 < 4 ? __ballot_sync(0xfu, odd) : 0;
  out[threadIdx.x] = ballot ^ half << 8;
}

// A block of 40: its second warp has eight lanes, and names all 32.
__global__ void sum_of_eight(int* out) {
  int v = static_cast<int>(threadIdx.x);
  for (int bits = 1; bits < 8; bits *= 2) v += __shfl_xor_sync(whole, v, bits);
  out[threadIdx.x] = v;
}

__global__ void count_all(int* count, unsigned long long* least) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(count, 1);
  atomicMin(least, 1000000ull - static_cast<unsigned>(i));
}

// Some leave early; the barrier is for those that are left.
__global__ void leave_early(int* out) {
  auto& s = cuda::shared<Sums>();
  if (threadIdx.x >= 100) return;
  s.values[threadIdx.x] = static_cast<int>(threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = s.values[99 - threadIdx.x];
}

__global__ void nothing() {}

}  // namespace

TEST_CASE("simt: every lane of every block runs once and knows its place") {
  everywhere([] {
    std::vector<int> out(12 * 30, -1), visits(12 * 30, 0), want(12 * 30);
    std::iota(want.begin(), want.end(), 0);
    launch({"number", {2, 3, 2}, {5, 3, 2}}, number, out.data(), visits.data());
    CHECK(out == want);
    CHECK(visits == std::vector<int>(12 * 30, 1));
  });
}

TEST_CASE("simt: sums of a block through shared memory and through warps") {
  constexpr int blocks = 70, threads = 256;
  std::vector<int> x(blocks * threads), want(blocks, 0);
  for (int i = 0; i < blocks * threads; ++i) want[i / threads] += x[i] = i * 37 % 101;
  everywhere([&] {
    std::vector<int> sums(blocks), all(blocks * threads);
    launch({"block_sums", blocks, threads, sizeof(Sums)}, block_sums, x.data(), sums.data());
    CHECK(sums == want);
    launch({"block_sums_by_warps", blocks, threads, sizeof(WarpSums)}, block_sums_by_warps, x.data(), all.data());
    int wrong = 0;
    for (int i = 0; i < blocks * threads; ++i) wrong += all[i] != want[i / threads];
    CHECK(wrong == 0);
  });
}

TEST_CASE("simt: shuffles of whole warps and of parts of eight lanes") {
  in_every_order([] {
    std::vector<Shuffled> out(32);
    launch({"shuffles", 1, 32}, shuffles, out.data());
    for (int i = 0; i < 32; ++i) {
      CAPTURE(i);
      const Shuffled& s = out[i];
      CHECK(s.by_index == 100 + 31 - i);
      CHECK(s.by_bits == 100 + (i ^ 5));
      CHECK(s.up == 100 + (i < 3 ? i : i - 3));
      CHECK(s.index_of_8 == 100 + i / 8 * 8 + 1);
      CHECK(s.bits_of_8 == 100 + ((i ^ 9) > (i | 7) ? i : i ^ 9));
      CHECK(s.up_of_8 == 100 + (i % 8 < 3 ? i : i - 3));
    }
  });
}

TEST_CASE("simt: parts of a warp go different ways") {
  in_every_order([] {
    std::vector<int> out(32);
    launch({"halves", 1, 32}, halves, out.data());
    for (int i = 0; i < 16; ++i) CHECK(out[i] == 120);
    for (int i = 16; i < 32; ++i) CHECK(out[i] == 16 + (i + 3) % 16);
  });
}

TEST_CASE("simt: votes, also of a warp with fewer lanes") {
  in_every_order([] {
    std::vector<unsigned> out(40);
    launch({"votes", 1, 40}, votes, out.data());
    for (unsigned i = 0; i < 40; ++i) {
      CAPTURE(i);
      const unsigned ballot = i < 32 ? 0xaaaaaaaau : 0xaau, half = i % 32 < 4 ? 0xau : 0;
      CHECK(out[i] == (ballot ^ half << 8));
    }
  });
}

TEST_CASE("simt: a block whose last warp has fewer lanes") {
  in_every_order([] {
    std::vector<int> out(40);
    launch({"sum_of_eight", 1, 40}, sum_of_eight, out.data());
    for (int i = 0; i < 40; ++i) CHECK(out[i] == i / 8 * 64 + 28);
  });
}

TEST_CASE("simt: atomics count across blocks and host threads") {
  everywhere([] {
    int count = 0;
    unsigned long long least = ~0ull;
    launch({"count_all", 300, 128}, count_all, &count, &least);
    CHECK(count == 300 * 128);
    CHECK(least == 1000000ull - (300 * 128 - 1));
  });
}

TEST_CASE("simt: lanes may leave before a barrier") {
  in_every_order([] {
    std::vector<int> out(100);
    launch({"leave_early", 1, 256, sizeof(Sums)}, leave_early, out.data());
    for (int i = 0; i < 100; ++i) CHECK(out[i] == 99 - i);
  });
}

TEST_CASE("simt: a grid that is too high or too deep goes in parts, and each block runs once") {
  for (const dim3 blocks : {dim3(2, 3, 4), dim3(1, 65536, 1), dim3(1, 1, 131071), dim3(2, 1, 65535)}) {
    std::vector<int> visits(blocks.count());
    cuda::launch_in_parts({"place", blocks, 1}, place, visits.data(), blocks.y);
    CHECK(std::all_of(visits.begin(), visits.end(), [](int n) { return n == 1; }));
  }
}

TEST_CASE("simt: divisions by a number that the host knows") {
  constexpr unsigned largest = 0x7fffffff;
  for (unsigned d : {1u, 2u, 3u, 5u, 7u, 64u, 641u, 65535u, 65537u, 1000003u, 0x40000000u, 0x40000001u, largest - 1, largest}) {
    const cuda::Divisor by(d);
    for (unsigned n : {0u, 1u, d - 1, d, d + (d < largest), largest / d * d - 1, largest / d * d, largest - 1, largest}) CHECK(by.quotient(n) == n / d);
    for (unsigned n = d; n < largest - d; n += largest / 999) CHECK(by.quotient(n) == n / d);
  }
}

TEST_CASE("simt: launches that a device refuses") {
  auto refused = [](cuda::Launch l, const char* why) { CHECK_THROWS_WITH_AS(launch(l, nothing), doctest::Contains(why), Error); };
  refused({"nothing", 1, 1025}, "nothing: a launch of 1 blocks of 1025 threads is not possible");
  refused({"nothing", 0, 32}, "a launch of 0 blocks");
  refused({"nothing", 1, {32, 0, 1}}, "of 0 threads");
  refused({"nothing", {1, 65536, 1}, 32}, "1x65536x1 blocks");
  refused({"nothing", {1, 1, 65536}, 32}, "1x1x65536 blocks");
  refused({"nothing", 1, {1, 1, 65}}, "1x1x65 threads");
  refused({"nothing", 1, 32, std::size_t{228} << 10}, "bytes of shared memory are more than a block can have");
  launch({"nothing", 1, 1024, std::size_t{227} << 10}, nothing);
}
