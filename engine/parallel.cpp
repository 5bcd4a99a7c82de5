#include "engine/parallel.h"

#include <omp.h>

#include <atomic>
#include <exception>
#include <mutex>

namespace g2s {
namespace {
std::atomic<int> requested{0};
}

int num_threads() {
  int n = requested.load(std::memory_order_relaxed);
  return n > 0 ? n : omp_get_num_procs();
}

void set_num_threads(int threads) { requested = threads > 0 ? threads : 0; }

void detail::parallel_run(std::int64_t pieces, void (*body)(void*, std::int64_t), void* context) {
  int threads = num_threads();
  if (pieces < threads) threads = static_cast<int>(pieces);
  if (threads <= 1 || omp_in_parallel()) {
    for (std::int64_t i = 0; i < pieces; ++i) body(context, i);
    return;
  }
  std::exception_ptr error;
  std::mutex error_mutex;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (std::int64_t i = 0; i < pieces; ++i) {
    try {
      body(context, i);
    } catch (...) {
      std::lock_guard lock(error_mutex);
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace g2s
