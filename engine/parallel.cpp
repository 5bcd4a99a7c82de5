#include "engine/parallel.h"

#include <sched.h>

#include <utility>

#include "engine/context.h"
#include "engine/thread_pool.h"
#include "engine/thread_state.h"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace g2s {
namespace {

// Rounds of waiting awake before the kernel is asked: a few tens of microseconds, about as long as the serial code between two regions.
constexpr int awake_rounds = 2000;

int processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const unsigned n = std::thread::hardware_concurrency();
  return n > 0 ? static_cast<int>(n) : 1;
}

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#endif
}

// Waits until value() differs from `old`: awake at first, where a processor is free for it.
template <class T>
T wait_for_change(const std::atomic<T>& value, T old, bool awake) {
  for (int i = 0; awake && i < awake_rounds; ++i) {
    const T now = value.load(std::memory_order_acquire);
    if (now != old) return now;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

}  // namespace

ThreadPool::~ThreadPool() {
  ends_ = true;
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& t : hired_) t.join();
}

bool ThreadPool::run(int threads, std::int64_t pieces, void (*body)(void*, std::int64_t), void* context) {
  std::unique_lock lock(busy_, std::try_to_lock);
  if (!lock) return false;
  hire(threads - 1);
  pieces_ = pieces;
  body_ = body;
  context_ = context;
  settings_ = thread_state().settings;
  error_ = nullptr;
  helpers_ = threads - 1;
  next_.store(0, std::memory_order_relaxed);
  state_.store(0, std::memory_order_release);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  work();
  int state = state_.fetch_or(closed, std::memory_order_acq_rel) | closed;
  while (state != closed) state = wait_for_change(state_, state, awake_);
  if (error_) std::rethrow_exception(error_);
  return true;
}

void ThreadPool::hire(int wanted) {
  if (static_cast<int>(hired_.size()) >= wanted) return;
  const int free = processors();
  while (static_cast<int>(hired_.size()) < wanted) hired_.emplace_back([this, index = static_cast<int>(hired_.size())] { help(index); });
  awake_ = static_cast<int>(hired_.size()) < free;
}

void ThreadPool::help(int index) {
  const UseContext in(context_of_all_);
  thread_state().in_parallel_region = true;
  for (unsigned seen = 0; !ends_;) {
    seen = wait_for_change(epoch_, seen, awake_);
    int state = state_.load(std::memory_order_relaxed);
    bool entered = false;
    while (!entered && !(state & closed)) entered = state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel);
    if (!entered) continue;
    thread_state().settings = settings_;
    if (index < helpers_) work();
    if (state_.fetch_sub(1, std::memory_order_acq_rel) - 1 == closed) state_.notify_one();
  }
}

void ThreadPool::work() {
  const bool outer = std::exchange(thread_state().in_parallel_region, true);
  for (std::int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < pieces_;) {
    try {
      body_(context_, i);
    } catch (...) {
      std::lock_guard lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }
  thread_state().in_parallel_region = outer;
}

int num_threads() {
  static const int all = processors();
  const int wanted = settings().threads;
  return wanted <= 0 ? all : wanted < most_threads ? wanted : most_threads;
}

void detail::parallel_run(std::int64_t pieces, void (*body)(void*, std::int64_t), void* context) {
  int threads = num_threads();
  if (pieces < threads) threads = static_cast<int>(pieces);
  if (threads > 1 && !thread_state().in_parallel_region && Context::current().pool().run(threads, pieces, body, context)) return;
  for (std::int64_t i = 0; i < pieces; ++i) body(context, i);
}

}  // namespace g2s
