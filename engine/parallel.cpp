// A pool whose caller never waits for a thread that has not begun: it works through the pieces itself and then waits only for those that others
// have taken. (At the end of an OpenMP region every thread must have arrived; on a busy machine each region then costs a time slice.)
#include "engine/parallel.h"

#include <sched.h>

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace g2s {
namespace {

constexpr int most_threads = 1024;
// Rounds of waiting awake before the kernel is asked: a few tens of microseconds, about as long as the serial code between two regions.
constexpr int awake_rounds = 2000;

std::atomic<int> requested{0};
thread_local bool inside_region = false;

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

// One region at a time. `state_` counts the threads that are inside it; closed means that nobody may enter any more.
class Pool {
 public:
  // False if another thread's region is under way: the caller then works alone.
  bool run(int threads, std::int64_t pieces, void (*body)(void*, std::int64_t), void* context) {
    std::unique_lock lock(busy_, std::try_to_lock);
    if (!lock) return false;
    hire(threads - 1);
    pieces_ = pieces;
    body_ = body;
    context_ = context;
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

 private:
  static constexpr int closed = 1 << 30;

  void hire(int wanted) {
    if (hired_ >= wanted) return;
    const int free = processors();
    for (; hired_ < wanted; ++hired_) std::thread([this, index = hired_] { help(index); }).detach();
    awake_ = hired_ < free;
  }

  [[noreturn]] void help(int index) {
    inside_region = true;
    for (unsigned seen = 0;;) {
      seen = wait_for_change(epoch_, seen, awake_);
      int state = state_.load(std::memory_order_relaxed);
      bool entered = false;
      while (!entered && !(state & closed)) entered = state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel);
      if (!entered) continue;
      if (index < helpers_) work();
      if (state_.fetch_sub(1, std::memory_order_acq_rel) - 1 == closed) state_.notify_one();
    }
  }

  void work() {
    const bool outer = std::exchange(inside_region, true);
    for (std::int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < pieces_;) {
      try {
        body_(context_, i);
      } catch (...) {
        std::lock_guard lock(error_mutex_);
        if (!error_) error_ = std::current_exception();
      }
    }
    inside_region = outer;
  }

  std::mutex busy_, error_mutex_;
  std::atomic<unsigned> epoch_{0};
  std::atomic<int> state_{closed};
  std::atomic<std::int64_t> next_{0};
  std::atomic<bool> awake_{true};
  int hired_ = 0;
  // Of the region: written before it opens, read by those inside.
  std::int64_t pieces_ = 0;
  void (*body_)(void*, std::int64_t) = nullptr;
  void* context_ = nullptr;
  int helpers_ = 0;
  std::exception_ptr error_;
};

// Never destroyed: its threads may still wait when the process ends.
Pool& pool() {
  static Pool* const p = new Pool;
  return *p;
}

}  // namespace

int num_threads() {
  const int n = requested.load(std::memory_order_relaxed);
  if (n > 0) return n;
  static const int all = processors();
  return all;
}

void set_num_threads(int threads) { requested = threads <= 0 ? 0 : threads < most_threads ? threads : most_threads; }

void detail::parallel_run(std::int64_t pieces, void (*body)(void*, std::int64_t), void* context) {
  int threads = num_threads();
  if (pieces < threads) threads = static_cast<int>(pieces);
  if (threads > 1 && !inside_region && pool().run(threads, pieces, body, context)) return;
  for (std::int64_t i = 0; i < pieces; ++i) body(context, i);
}

}  // namespace g2s
