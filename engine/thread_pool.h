// The threads of a context. See engine/parallel.h, which is how to use them.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace g2s {

class Context;
struct Settings;

constexpr int most_threads = 1024;

// A pool whose caller never waits for a thread that has not begun: it works through the pieces itself and then waits only for those that others
// have taken. (At the end of an OpenMP region every thread must have arrived; on a busy machine each region then costs a time slice.)
// One region at a time. `state_` counts the threads that are inside it; closed means that nobody may enter any more.
class ThreadPool {
 public:
  explicit ThreadPool(Context& context) : context_of_all_(context) {}
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;

  // False if another thread's region is under way: the caller then works alone.
  bool run(int threads, std::int64_t pieces, void (*body)(void*, std::int64_t), void* context);

 private:
  static constexpr int closed = 1 << 30;

  void hire(int wanted);
  void help(int index);
  void work();

  Context& context_of_all_;
  std::mutex busy_, error_mutex_;
  std::atomic<unsigned> epoch_{0};
  std::atomic<int> state_{closed};
  std::atomic<std::int64_t> next_{0};
  std::atomic<bool> awake_{true}, ends_{false};
  std::vector<std::thread> hired_;
  // Of the region: written before it opens, read by those inside.
  std::int64_t pieces_ = 0;
  void (*body_)(void*, std::int64_t) = nullptr;
  void* context_ = nullptr;
  const Settings* settings_ = nullptr;
  int helpers_ = 0;
  std::exception_ptr error_;
};

}  // namespace g2s
