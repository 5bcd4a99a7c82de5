#include "bench/cuda_timer.h"

#include "engine/accelerator.h"
#include "engine/cuda/launch.cuh"

#if defined(G2S_EMULATE)
#include <chrono>
#endif

namespace g2s::cuda {

#if defined(G2S_EMULATE)
double milliseconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}
#else
namespace {

class Event {
 public:
  Event() { check(cudaEventCreate(&event_), "cudaEventCreate"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record() { check(cudaEventRecord(event_, stream()), "cudaEventRecord"); }
  double since(const Event& begin) const {
    float milliseconds = 0;
    count_host_sync();
    check(cudaEventSynchronize(event_), "cudaEventSynchronize");
    check(cudaEventElapsedTime(&milliseconds, begin.event_, event_), "cudaEventElapsedTime");
    return static_cast<double>(milliseconds);
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace

double milliseconds_of(const std::function<void()>& work) {
  Event begin, end;
  begin.record();
  work();
  end.record();
  return end.since(begin);
}
#endif

}  // namespace g2s::cuda
