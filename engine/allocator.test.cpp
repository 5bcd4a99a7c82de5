#include "engine/allocator.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "engine/error.h"
#include "engine/tensor.h"

using namespace g2s;

namespace {
Allocator& cpu() { return allocator({}); }
}  // namespace

TEST_CASE("allocator: blocks are aligned, distinct and counted") {
  std::size_t before = cpu().stats().in_use;
  std::vector<std::pair<char*, std::size_t>> blocks;
  for (std::size_t bytes : {1u, 63u, 64u, 65u, 511u, 513u, 4096u, 5000u, 1000003u}) {
    auto* p = static_cast<char*>(cpu().allocate(bytes));
    CHECK(reinterpret_cast<std::uintptr_t>(p) % 64 == 0);
    for (std::size_t i = 0; i < bytes; ++i) p[i] = static_cast<char>(blocks.size());
    blocks.emplace_back(p, bytes);
  }
  CHECK(cpu().stats().in_use >= before + 1 + 63 + 64 + 65 + 511 + 513 + 4096 + 5000 + 1000003);
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    bool intact = true;
    for (std::size_t i = 0; i < blocks[b].second; ++i) intact = intact && blocks[b].first[i] == static_cast<char>(b);
    CHECK(intact);
    cpu().release(blocks[b].first, blocks[b].second);
  }
  CHECK(cpu().stats().in_use == before);
  CHECK(cpu().allocate(0) == nullptr);
  cpu().release(nullptr, 0);
}

TEST_CASE("allocator: a freed block is handed out again") {
  void* first = cpu().allocate(100000);
  cpu().release(first, 100000);
  std::size_t reserved = cpu().stats().reserved;
  void* second = cpu().allocate(100000);
  CHECK(second == first);
  // A little less shares the block: sizes are rounded up by at most an eighth.
  cpu().release(second, 100000);
  void* third = cpu().allocate(99000);
  CHECK(third == first);
  CHECK(cpu().stats().reserved == reserved);
  cpu().release(third, 99000);
}

TEST_CASE("allocator: little is wasted") {
  for (std::size_t bytes = 1; bytes < 3000000; bytes = bytes * 9 / 8 + 1) {
    std::size_t before = cpu().stats().in_use;
    void* p = cpu().allocate(bytes);
    std::size_t used = cpu().stats().in_use - before;
    CHECK(used >= bytes);
    CHECK(used <= bytes + bytes / 8 + 64);
    cpu().release(p, bytes);
  }
}

TEST_CASE("allocator: the peak") {
  cpu().reset_peak();
  std::size_t before = cpu().stats().in_use;
  CHECK(cpu().stats().peak == before);
  void* a = cpu().allocate(1 << 20);
  void* b = cpu().allocate(1 << 20);
  cpu().release(a, 1 << 20);
  cpu().release(b, 1 << 20);
  CHECK(cpu().stats().peak == before + (2u << 20));
  CHECK(cpu().stats().in_use == before);
  cpu().reset_peak();
  CHECK(cpu().stats().peak == before);
}

TEST_CASE("allocator: trim gives the cache back") {
  void* p = cpu().allocate(3 << 20);
  cpu().release(p, 3 << 20);
  CHECK(cpu().stats().reserved >= cpu().stats().in_use + (3u << 20));
  cpu().trim();
  CHECK(cpu().stats().reserved == cpu().stats().in_use);
}

TEST_CASE("allocator: too much is an error that says how much, and is not counted") {
  std::size_t before = cpu().stats().in_use;
  try {
    cpu().allocate(std::size_t{1} << 60);
    FAIL("a block of 2^60 bytes was handed out");
  } catch (const Error& e) {
    CHECK(e.code() == Errc::out_of_memory);
    CHECK(e.message().find("1152921504606846976 bytes") != std::string::npos);
  }
  CHECK(cpu().stats().in_use == before);
  CHECK_THROWS_AS(Tensor::empty({std::int64_t{1} << 40, std::int64_t{1} << 40}), Error);
  CHECK_THROWS_AS(Tensor::empty({std::int64_t{1} << 62}, DType::f64), Error);  // whose bytes overflow
  CHECK_THROWS_AS(allocator({DeviceType::cuda, 0}), Error);
}

TEST_CASE("allocator: several threads") {
  std::size_t before = cpu().stats().in_use;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 500; ++i) {
        auto bytes = static_cast<std::size_t>(1000 + (i * 37 + t * 11) % 5000);
        auto* p = static_cast<unsigned char*>(cpu().allocate(bytes));
        p[0] = p[bytes - 1] = static_cast<unsigned char>(t);
        if (p[0] != t || p[bytes - 1] != t) std::abort();
        cpu().release(p, bytes);
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(cpu().stats().in_use == before);
}

TEST_CASE("allocator: poison fills fresh and reused blocks with NaN") {
  if (!std::getenv("G2S_POISON")) {  // read once at the start: this case again, in a process that has it
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    REQUIRE(length > 0);
    std::string program(self, static_cast<std::size_t>(length));
    CHECK(std::system(("G2S_POISON=1 '" + program + "' --test-case='allocator: poison*' >/dev/null").c_str()) == 0);
    return;
  }
  for (int round = 0; round < 2; ++round) {
    Tensor t = Tensor::empty({1000}), d = Tensor::empty({77}, DType::f64);
    for (float v : t.to_vector<float>()) CHECK(std::isnan(v));
    for (double v : d.to_vector<double>()) CHECK(std::isnan(v));
    for (int i = 0; i < 1000; ++i) t.mutable_data<float>()[i] = 1;
  }
}
