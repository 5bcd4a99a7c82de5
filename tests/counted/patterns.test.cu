// Kernels whose requests to memory are known by hand.
#include <doctest/doctest.h>

#include <unistd.h>

#include <climits>
#include <cstdio>
#include <string>
#include <vector>

#include "engine/context.h"
#include "engine/cuda/pack.cuh"
#include "engine/cuda/ptx.cuh"
#include "engine/error.h"
#include "engine/parallel.h"
#include "engine/tensor.h"
#include "kernels/elementwise/elementwise.h"
#include "tests/counted/memory_counts.h"
#include "tests/simt/orders.h"

extern "C" char __executable_start;

using namespace g2s;
using namespace g2s::test;
using cuda::launch;
using simt::Access, simt::Memory, simt::MemoryCounts;

namespace {

const Device device{DeviceType::cuda, 0};

Tensor numbers(std::int64_t count) { return Tensor::zeros({count}, DType::f32, device); }

// What the kernel launched last has done, all its instructions of this kind together.
MemoryCounts counted(Memory memory, Access access, unsigned width = 0) {
  MemoryCounts sum;
  for (const simt::MemorySite& s : simt::memory_sites())
    if (s.memory == memory && s.access == access && (width == 0 || s.width == width)) sum += s.counts;
  return sum;
}

template <class K, class... A> void run(cuda::Launch l, K kernel, A... arguments) {
  simt::forget_memory_counts();
  launch(l, kernel, arguments...);
}

void check(const MemoryCounts& c, std::int64_t requests, std::int64_t bytes, std::int64_t units, std::int64_t ideal) {
  CHECK(c.requests == requests);
  CHECK(c.bytes == bytes);
  CHECK(c.units == units);
  CHECK(c.ideal == ideal);
}

__global__ void strided(const float* x, float* y, int stride, int first) {
  y[threadIdx.x] = x[static_cast<int>(threadIdx.x) * stride + first] + 1;
}

template <class T, int n>
__global__ void packs(const T* x, T* y) {
  const auto at = static_cast<int>(threadIdx.x) * n;
  cuda::store(y + at, cuda::load<n>(x + at));
}

// Lanes take three turns, but every other lane only one.
__global__ void uneven(const float* x, float* y) {
  float sum = 0;
  for (unsigned i = 0; i < (threadIdx.x % 2 ? 1u : 3u); ++i) sum += x[i * 32 + threadIdx.x];
  y[threadIdx.x] = sum;
}

// Both halves of the block come to the same instruction; a barrier between the rounds keeps them apart.
__global__ void rounds(const float* x, float* y) {
  float sum = 0;
  for (unsigned i = 0; i < 4; ++i) {
    if (i > threadIdx.x / 8) sum += x[i * 32 + threadIdx.x];
    __syncthreads();
  }
  y[threadIdx.x] = sum;
}

__global__ void votes(unsigned* y, int apart) { atomicAdd(y + static_cast<int>(threadIdx.x) * apart, 1u); }
__global__ void least(unsigned* y) { atomicMin(y + threadIdx.x, threadIdx.x); }

template <int pitch>
struct Square {
  float at[32][pitch];
};

// Writes along rows, reads along columns.
template <int pitch>
__global__ void turn(float* y) {
  auto& s = cuda::shared<Square<pitch>>();
  for (unsigned i = 0; i < 32; ++i) s.at[i][threadIdx.x] = static_cast<float>(i);
  __syncthreads();
  float sum = 0;
  for (unsigned i = 0; i < 32; ++i) sum += s.at[threadIdx.x][i];
  y[threadIdx.x] = sum;
}

struct Room {
  alignas(16) float at[1024];
};

// Lane i takes n floats from float `(i / together) * apart` on.
template <int n>
__global__ void from_shared(float* y, int together, int apart) {
  auto& s = cuda::shared<Room>();
  for (unsigned i = threadIdx.x; i < 1024; i += blockDim.x) s.at[i] = 1;
  __syncthreads();
  const auto got = cuda::load<n>(s.at + static_cast<int>(threadIdx.x) / together * apart);
  float sum = 0;
  for (int i = 0; i < n; ++i) sum += got.v[i];
  y[threadIdx.x] = sum;
}

// Reads eight rows of 16 bytes for each of four matrices, `pitch` bytes apart.
__global__ void matrices(float* y, int pitch) {
  auto& s = cuda::shared<Room>();
  for (unsigned i = threadIdx.x; i < 1024; i += 32) s.at[i] = 1;
  __syncthreads();
  unsigned got[4];
  cuda::ldmatrix(got, reinterpret_cast<const char*>(s.at) + static_cast<int>(threadIdx.x) * pitch);
  y[threadIdx.x] = __uint_as_float(got[0]);
}

__global__ void copied(const float* x, float* y, bool wait) {
  auto& s = cuda::shared<Room>();
  cuda::copy_async<16>(s.at + threadIdx.x * 4, x + threadIdx.x * 4, threadIdx.x < 16);
  cuda::commit_copies();
  if (wait) cuda::wait_for_copies<0>();
  __syncthreads();
  y[threadIdx.x] = s.at[threadIdx.x * 4];
}

constexpr int shared_line = __LINE__ + 4;
__global__ void unwritten_shared(float* y) {
  auto& s = cuda::shared<Room>();
  if (threadIdx.x != 5 && threadIdx.x != 7) s.at[threadIdx.x] = 1;
  y[threadIdx.x] = s.at[threadIdx.x];
}

constexpr int device_line = __LINE__ + 2;
__global__ void unwritten_device(const float* x, float* y) {
  y[threadIdx.x] = x[threadIdx.x];
}

// file:line of the instruction, the innermost that is not a header of ours.
std::string place_of(const simt::MemorySite& site) {
  char self[PATH_MAX] = {}, command[PATH_MAX + 100], line[PATH_MAX + 100];
  REQUIRE(::readlink("/proc/self/exe", self, sizeof self - 1) > 0);
  std::snprintf(command, sizeof command, "addr2line -e %s 0x%zx", self,
                static_cast<std::size_t>(static_cast<const char*>(site.place) - &__executable_start - 1));
  FILE* out = ::popen(command, "r");
  REQUIRE(out);
  const std::string text = std::fgets(line, sizeof line, out) ? line : "";
  ::pclose(out);
  return text.substr(text.rfind('/') + 1, text.find_first_of(" \n") - text.rfind('/') - 1);
}

std::vector<simt::MemorySite> unwritten() {
  std::vector<simt::MemorySite> found;
  for (const simt::MemorySite& s : simt::memory_sites())
    if (s.counts.unwritten > 0) found.push_back(s);
  return found;
}

}  // namespace

TEST_CASE("counted: sectors of scalars") {
  const Tensor x = numbers(2048);
  Tensor y = numbers(64);
  auto strides = [&](int stride, int first, unsigned threads = 32) {
    run({"strided", 1, threads}, strided, x.ptr<float>(), y.mutable_ptr<float>(), stride, first);
    return counted(Memory::device, Access::read);
  };
  check(strides(1, 0), 1, 128, 4, 4);
  check(counted(Memory::device, Access::write), 1, 128, 4, 4);
  check(strides(1, 1), 1, 128, 5, 4);   // across one more sector
  check(strides(-1, 31), 1, 128, 4, 4);
  check(strides(2, 0), 1, 128, 8, 4);
  check(strides(32, 0), 1, 128, 32, 4);
  check(strides(0, 3), 1, 128, 1, 1);   // one number for all
  check(strides(1, 0, 64), 2, 256, 8, 8);
  check(strides(1, 0, 20), 1, 80, 3, 3);
}

TEST_CASE("counted: sectors of vectors") {
  const Tensor x = numbers(512);
  Tensor y = numbers(512);
  run({"packs", 1, 32}, packs<float, 4>, x.ptr<float>(), y.mutable_ptr<float>());
  check(counted(Memory::device, Access::read, 16), 1, 512, 16, 16);
  check(counted(Memory::device, Access::write, 16), 1, 512, 16, 16);
  check(counted(Memory::device, Access::read), 1, 512, 16, 16);  // and nothing else
  run({"packs", 1, 32}, packs<float, 2>, x.ptr<float>(), y.mutable_ptr<float>());
  check(counted(Memory::device, Access::read, 8), 1, 256, 8, 8);
  const Tensor wide = x.to(DType::f64);
  Tensor wide_y = y.to(DType::f64);
  run({"packs", 1, 32}, packs<double, 4>, wide.ptr<double>(), wide_y.mutable_ptr<double>());  // two requests, each for half of every sector
  check(counted(Memory::device, Access::read, 16), 2, 1024, 64, 32);
}

TEST_CASE("counted: lanes that go apart") {
  const Tensor x = numbers(128);
  Tensor y = numbers(32);
  run({"uneven", 1, 32}, uneven, x.ptr<float>(), y.mutable_ptr<float>());
  check(counted(Memory::device, Access::read), 3, 4 * (32 + 16 + 16), 12, 4 + 2 + 2);
  run({"rounds", 1, 32}, rounds, x.ptr<float>(), y.mutable_ptr<float>());
  check(counted(Memory::device, Access::read), 3, 4 * (8 + 16 + 24), 1 + 2 + 3, 1 + 2 + 3);
}

TEST_CASE("counted: atomic operations") {
  Tensor y = Tensor::zeros({1024}, DType::i32, device);
  auto* to = reinterpret_cast<unsigned*>(y.mutable_ptr<std::int32_t>());
  run({"votes", 1, 32}, votes, to, 8);
  check(counted(Memory::device, Access::atomic), 1, 128, 32, 4);
  run({"votes", 1, 32}, votes, to, 0);
  check(counted(Memory::device, Access::atomic), 1, 128, 1, 1);
  run({"least", 1, 32}, least, to);
  check(counted(Memory::device, Access::atomic), 1, 128, 4, 4);
  check(counted(Memory::device, Access::read), 0, 0, 0, 0);
}

TEST_CASE("counted: banks of shared memory") {
  Tensor y = numbers(32);
  run({"turn", 1, 32, sizeof(Square<32>)}, turn<32>, y.mutable_ptr<float>());
  check(counted(Memory::shared, Access::write), 32, 4096, 32, 32);
  check(counted(Memory::shared, Access::read), 32, 4096, 32 * 32, 32);
  run({"turn", 1, 32, sizeof(Square<33>)}, turn<33>, y.mutable_ptr<float>());
  check(counted(Memory::shared, Access::read), 32, 4096, 32, 32);
  auto takes = [&](auto kernel, int together, int apart) {
    run({"from_shared", 1, 32, sizeof(Room)}, kernel, y.mutable_ptr<float>(), together, apart);
    return counted(Memory::shared, Access::read);
  };
  check(takes(from_shared<1>, 32, 0), 1, 128, 1, 1);   // one word for all
  check(takes(from_shared<1>, 1, 2), 1, 128, 2, 1);
  check(takes(from_shared<1>, 4, 32), 1, 128, 8, 1);   // eight words of one bank, each for four lanes
  check(takes(from_shared<2>, 1, 2), 1, 256, 2, 2);    // a pass for each half of the warp
  check(takes(from_shared<2>, 1, 4), 1, 256, 4, 2);
  check(takes(from_shared<4>, 1, 4), 1, 512, 4, 4);    // and for each quarter
  check(takes(from_shared<4>, 1, 8), 1, 512, 8, 4);
  check(takes(from_shared<4>, 32, 0), 1, 512, 4, 4);
}

TEST_CASE("counted: matrices and asynchronous copies") {
  Tensor y = numbers(32);
  const Tensor x = numbers(128);
  run({"matrices", 1, 32, sizeof(Room)}, matrices, y.mutable_ptr<float>(), 16);
  check(counted(Memory::shared, Access::read), 1, 512, 4, 4);
  run({"matrices", 1, 32, sizeof(Room)}, matrices, y.mutable_ptr<float>(), 128);
  check(counted(Memory::shared, Access::read), 1, 512, 32, 4);
  run({"copied", 1, 32, sizeof(Room)}, copied, x.ptr<float>(), y.mutable_ptr<float>(), true);
  check(counted(Memory::device, Access::read), 1, 256, 8, 8);  // of 16 lanes
  check(counted(Memory::shared, Access::write), 1, 512, 4, 4);
  CHECK(unwritten().empty());
}

TEST_CASE("counted: what nobody has written is found with its line") {
  Tensor y = numbers(64);
  in_every_order([&] {
    run({"unwritten_shared", 1, 64, sizeof(Room)}, unwritten_shared, y.mutable_ptr<float>());
    auto found = unwritten();
    REQUIRE(found.size() == 1);
    CHECK(found[0].counts.unwritten == 2);
    CHECK(found[0].memory == Memory::shared);
    CHECK(place_of(found[0]) == str("patterns.test.cu:", shared_line));
  });
  Tensor x = Tensor::empty({64}, DType::f32, device);
  run({"unwritten_device", 1, 64}, unwritten_device, x.ptr<float>(), y.mutable_ptr<float>());
  auto found = unwritten();
  REQUIRE(found.size() == 1);
  CHECK(found[0].counts.unwritten == 64);
  CHECK(found[0].memory == Memory::device);
  CHECK(place_of(found[0]) == str("patterns.test.cu:", device_line));
  run({"strided", 1, 32}, strided, y.ptr<float>(), x.mutable_ptr<float>(), 1, 0);
  run({"unwritten_device", 1, 64}, unwritten_device, x.ptr<float>(), y.mutable_ptr<float>());  // half of it is written now
  found = unwritten();
  REQUIRE(found.size() == 1);
  CHECK(found[0].counts.unwritten == 32);
  x = y + 0;
  run({"unwritten_device", 1, 64}, unwritten_device, x.ptr<float>(), y.mutable_ptr<float>());
  CHECK(unwritten().empty());
  run({"copied", 1, 32, sizeof(Room)}, copied, x.ptr<float>(), y.mutable_ptr<float>(), false);  // the copy is not waited for
  CHECK(unwritten().size() == 1);
}

TEST_CASE("counted: the same on any number of threads") {
  const Tensor x = numbers(4096);
  Tensor y = numbers(4096);
  for (int threads : {1, 3}) {
    const WithThreads with(threads);
    run({"packs", 32, 32}, packs<float, 4>, x.ptr<float>(), y.mutable_ptr<float>());
    check(counted(Memory::device, Access::read), 32, 32 * 512, 32 * 16, 32 * 16);
  }
}
