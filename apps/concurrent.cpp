#include "apps/concurrent.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "engine/context.h"

namespace g2s::app {

std::vector<std::exception_ptr> run_concurrently(std::size_t count, std::size_t most, const std::function<void(std::size_t)>& work) {
  std::vector<std::exception_ptr> thrown(count);
  std::atomic<std::size_t> next{0};
  auto go_on = [&] {
    for (std::size_t i; (i = next.fetch_add(1)) < count;) {
      try {
        work(i);
      } catch (...) {
        thrown[i] = std::current_exception();
      }
    }
  };
  if (most <= 1) {
    go_on();
    return thrown;
  }
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < std::min(count, most); ++t)
    threads.emplace_back([&context = Context::current(), &go_on] {
      const UseContext in(context);
      const DefaultDevice host{Device{}};
      go_on();
    });
  for (std::thread& t : threads) t.join();
  return thrown;
}

}  // namespace g2s::app
