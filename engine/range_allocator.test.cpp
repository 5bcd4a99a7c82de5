#include "engine/range_allocator.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

using namespace g2s;

TEST_CASE("ranges: the smallest that fits, neighbours merge, the end grows") {
  RangeAllocator r(100);
  CHECK(r.take(10) == 0);
  CHECK(r.take(20) == 10);
  CHECK(r.take(5) == 30);
  CHECK(r.take(30) == 35);
  r.give(0, 10);
  r.give(30, 5);
  CHECK(r.held() == 65);
  CHECK(r.take(4) == 30);  // of 10 at 0 and 5 at 30
  CHECK(r.take(2) == 0);
  r.give(10, 20);          // merges with the 8 that are left before it
  CHECK(r.take(28) == 2);
  r.give(35, 30);
  CHECK(r.take(40) == 34);  // the idle end from 34 on, and grown
  CHECK(r.held() == 74);
  CHECK(r.take(27) == RangeAllocator::none);
  CHECK(r.take(26) == 74);
  CHECK(r.take(1) == RangeAllocator::none);
  CHECK(r.held() == 100);
}

TEST_CASE("ranges: idle ones are forgotten, the largest first") {
  RangeAllocator r(1000);
  for (int i = 0; i < 5; ++i) r.take(100);
  r.give(0, 100);
  r.give(200, 200);
  std::vector<std::size_t> dropped;
  auto drop = [&](std::size_t offset, std::size_t size) {
    dropped.push_back(offset);
    dropped.push_back(size);
  };
  r.forget(300, drop);
  CHECK(dropped == std::vector<std::size_t>{200, 200});
  CHECK(r.held() == 300);
  CHECK(r.take(150) == 200);  // held again
  CHECK(r.held() == 450);
  r.forget(0, drop);  // what is in use stays
  CHECK(dropped == std::vector<std::size_t>{200, 200, 0, 100});
  CHECK(r.held() == 350);
}

// Against a map of bytes: no range is handed out twice, every byte in use counts as held, and all comes back as one.
TEST_CASE("ranges: random requests") {
  constexpr std::size_t capacity = 4000;
  RangeAllocator r(capacity);
  std::vector<char> used(capacity, 0);
  std::vector<std::pair<std::size_t, std::size_t>> blocks;
  std::uint32_t state = 7;
  auto random = [&](std::uint32_t n) { return (state = state * 1664525u + 1013904223u) / 65536u % n; };
  std::size_t in_use = 0, refused = 0;
  for (int step = 0; step < 20000; ++step) {
    if (random(2) && !blocks.empty()) {
      const std::size_t i = random(static_cast<std::uint32_t>(blocks.size()));
      const auto [offset, size] = blocks[i];
      std::fill_n(used.begin() + static_cast<std::ptrdiff_t>(offset), size, 0);
      in_use -= size;
      r.give(offset, size);
      blocks[i] = blocks.back();
      blocks.pop_back();
    } else {
      const std::size_t size = 1 + random(200), offset = r.take(size);
      if (offset == RangeAllocator::none) {
        ++refused;
        continue;
      }
      REQUIRE(offset + size <= capacity);
      for (std::size_t k = offset; k < offset + size; ++k) REQUIRE(used[k]++ == 0);
      in_use += size;
      blocks.emplace_back(offset, size);
    }
    REQUIRE(r.held() >= in_use);
    REQUIRE(r.held() <= capacity);
    if (random(50) == 0) {
      r.forget(0, [&](std::size_t offset, std::size_t size) {
        for (std::size_t k = offset; k < offset + size; ++k) REQUIRE(used[k] == 0);
      });
      REQUIRE(r.held() == in_use);
    }
  }
  CHECK(refused > 0);
  for (const auto& [offset, size] : blocks) r.give(offset, size);
  CHECK(r.take(capacity) == 0);
}
