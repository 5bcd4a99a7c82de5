#include "engine/parallel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support/check.h"

using namespace g2s;

TEST_CASE("parallel: every piece once, at any number of threads") {
  for (int threads : {1, 2, 3, 8}) {
    test::Threads guard(threads);
    CHECK(num_threads() == threads);
    for (std::int64_t pieces : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> count(static_cast<std::size_t>(pieces));
      parallel_for(pieces, [&](std::int64_t i) { ++count[static_cast<std::size_t>(i)]; });
      for (const auto& c : count) CHECK(c == 1);
    }
  }
}

TEST_CASE("parallel: blocks cover a range without gap or overlap") {
  test::Threads guard(3);
  for (std::int64_t n : {0, 1, 9, 10, 11, 1003}) {
    std::vector<int> count(static_cast<std::size_t>(n), 0);
    std::atomic<int> uneven{0};
    parallel_blocks(n, 10, [&](std::int64_t begin, std::int64_t end) {
      if (end - begin != 10) ++uneven;
      for (std::int64_t i = begin; i < end; ++i) ++count[static_cast<std::size_t>(i)];
    });
    for (int c : count) CHECK(c == 1);
    CHECK(uneven == (n % 10 ? 1 : 0));
  }
}

TEST_CASE("parallel: several threads are really used") {
  test::Threads guard(4);
  std::atomic<int> inside{0}, most{0};
  parallel_for(4, [&](std::int64_t) {
    int now = ++inside, seen = most;
    while (now > seen && !most.compare_exchange_weak(seen, now)) {
    }
    for (int wait = 0; wait < 2000 && most < 2; ++wait) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    --inside;
  });
  CHECK(most >= 2);
}

TEST_CASE("parallel: an exception reaches the caller, and later work is unharmed") {
  for (int threads : {1, 4}) {
    test::Threads guard(threads);
    std::atomic<int> done{0};
    CHECK_THROWS_WITH_AS(parallel_for(100,
                                      [&](std::int64_t i) {
                                        if (i == 37) throw std::runtime_error("piece 37");
                                        ++done;
                                      }),
                         "piece 37", std::runtime_error);
    CHECK(done >= 37 * (threads == 1));
    CHECK_THROWS_AS(parallel_for(8, [](std::int64_t) { throw 1; }), int);  // all of them: one is rethrown
    std::atomic<int> sum{0};
    parallel_for(10, [&](std::int64_t i) { sum += static_cast<int>(i); });
    CHECK(sum == 45);
  }
}

TEST_CASE("parallel: nested calls run on the calling thread") {
  test::Threads guard(4);
  std::atomic<int> strangers{0}, inner{0};
  parallel_for(8, [&](std::int64_t) {
    std::thread::id self = std::this_thread::get_id();
    parallel_for(16, [&](std::int64_t) {
      strangers += std::this_thread::get_id() != self;
      ++inner;
    });
  });
  CHECK(inner == 8 * 16);
  CHECK(strangers == 0);
  CHECK_THROWS_AS(parallel_for(4, [](std::int64_t) { parallel_for(4, [](std::int64_t) { throw 1; }); }), int);
}

TEST_CASE("parallel: zero threads means as many as there are") {
  const test::Threads five(5);
  const test::Threads all(0);
  CHECK(num_threads() >= 1);
  int automatic = num_threads();
  const test::Threads fewer(-3);
  CHECK(num_threads() == automatic);
}

TEST_CASE("parallel: calls from several threads at once") {
  Context two({.settings = {.threads = 2}});
  std::atomic<int> total{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      const UseContext in(two);
      for (int repeat = 0; repeat < 20; ++repeat) parallel_for(10, [&](std::int64_t) { ++total; });
    });
  for (std::thread& t : callers) t.join();
  CHECK(total == 4 * 20 * 10);
}
