// Memory of the device, and graphs with memory of their own.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "engine/accelerator.h"
#include "engine/context.h"
#include "engine/allocator_base.h"
#include "engine/cuda/device.h"
#include "engine/cuda/launch.cuh"
#include "engine/error.h"
#include "engine/range_allocator.h"
#include "engine/captured_graph.h"
#include "engine/thread_state.h"

namespace g2s::cuda {

constexpr std::size_t granularity = 256;                       // of blocks, what vector loads want at least
// What is taken from the driver at once; less where there is a limit, below which what lies idle counts.
constexpr std::size_t usual_segment = std::size_t{256} << 20, segment_below_limit = std::size_t{64} << 20;

class CudaGraph;
class DeviceAllocator;

// What a thread has of a context on the device, made at its first use.
struct ThreadContext {
  ThreadContext();
  ThreadContext(const ThreadContext&) = delete;
  ~ThreadContext();

  Context& context = Context::current();
  const int device = current_device();
  cudaStream_t stream = nullptr;  // its own, or the caller's
  const char* last_launch = "nothing";
  bool capturing = false;
};

inline ThreadContext& thread_context() { return thread_object<ThreadContext>(); }
inline CudaGraph* recording_of_thread();

// Throws if what is asked for cannot be part of a graph.
inline void refuse_in_capture(const char* what) {
  if (thread_context().capturing)
    fail(Errc::invalid_argument, "captured graph", "work that is to be repeated ", what, " (after the kernel '",
         thread_context().last_launch,
         "' was launched): what changes belongs into tensors that are filled before, what stays is to be made once");
}

// Kernels run while the host goes on: their errors come out of later calls.
[[noreturn]] inline void fail_after_launch(cudaError_t result) {
  const bool exact = std::getenv("CUDA_LAUNCH_BLOCKING") != nullptr;
  fail(Errc::internal, thread_context().last_launch,
       "the device reports an error after this kernel or graph was launched: ", cudaGetErrorString(result),
       exact ? "" : " (it may be of an earlier one; with CUDA_LAUNCH_BLOCKING=1 in the environment it is of this one)");
}

// Where the host finds out how the device fared.
inline void check_device(cudaError_t result) {
  if (result != cudaSuccess) fail_after_launch(result);
}

// While one lives this thread may ask the driver for memory although a stream is being captured.
class DriverCalls {
 public:
  DriverCalls() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~DriverCalls() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  DriverCalls(const DriverCalls&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

// Blocks are cut from segments that are kept: cudaMalloc waits for the device. A segment belongs to one thread of a context,
// whose stream does all work in it, so a block may be used again as soon as the host has let go of it; and it may be the memory of one
// graph of that thread.
class DeviceAllocator final : public AllocatorBase {
 public:
  explicit DeviceAllocator(int device) : device_(device) {}

  // The graph has been captured: its kernels use blocks that have gone back to the graph's memory.
  void open(const CudaGraph* graph) {
    const auto guard = lock();
    for (auto& [base, segment] : segments_) {
      if (segment.graph != graph) continue;
      segment.open = true;
      asan_unpoison(base, segment.ranges.capacity());
    }
  }

  // The recording is gone: its segments are those of its thread.
  void retire(const CudaGraph* graph) {
    const auto guard = lock();
    for (auto& [base, segment] : segments_) {
      if (segment.graph != graph) continue;
      segment.graph = nullptr;
      segment.open = false;
      segment.ranges.forget(0, [start = base](std::size_t offset, std::size_t size) { asan_poison(start + offset, size); });
    }
  }

  // The thread has left its context, and its stream has nothing more to do: others may have its segments.
  void hand_over(const ThreadContext* thread) {
    const auto guard = lock();
    for (auto& [base, segment] : segments_)
      if (segment.thread == thread && !segment.graph) segment.thread = nullptr;
  }

 protected:
  std::size_t block_size(std::size_t bytes) const override {
    return bytes > std::numeric_limits<std::size_t>::max() / 2 ? bytes : round_up(bytes, granularity);
  }

  void* take(std::size_t size) override {
    if (thread_context().device != device_)
      g2s::fail(Errc::unsupported, "allocate", "this context works on cuda:", thread_context().device, ", not on cuda:", device_);
    const CudaGraph* graph = PersistentMemory::active() ? nullptr : recording_of_thread();
    const std::size_t wanted = size + red_zone();
    if (wanted > std::numeric_limits<std::size_t>::max() / 2) return nullptr;
    if (void* block = cut(graph, wanted)) return block;
    return adopt(graph, wanted) || add_segment(graph, wanted) ? cut(graph, wanted) : nullptr;
  }

  void give(void* block, std::size_t size) noexcept override {
    auto it = --segments_.upper_bound(static_cast<char*>(block));
    it->second.ranges.give(static_cast<std::size_t>(static_cast<char*>(block) - it->first), size + red_zone());
    if (it->second.open) asan_unpoison(block, size);
  }

  Release before_release(void* block, std::size_t bytes) noexcept override;
  void wait_for_use() noexcept override {
    cudaStreamSynchronize(thread_context().stream);
    count_host_sync();
  }

  std::size_t held() const override {
    std::size_t bytes = 0;
    for (const auto& [base, segment] : segments_) bytes += segment.ranges.capacity();
    return bytes;
  }

  std::size_t held_by_context() const override {
    std::size_t bytes = 0;
    for (const auto& [base, segment] : segments_)
      if (segment.thread && &segment.thread->context == &Context::current()) bytes += segment.ranges.capacity();
    return bytes;
  }

  // Segments of which nothing is in use, but for those of graphs: of this context, or if it is to keep none, of all.
  void give_back(std::size_t target) override {
    if (thread_context().capturing) return;
    for (auto it = segments_.begin(); it != segments_.end() && (target == 0 || held_by_context() > target);) {
      const Segment& s = it->second;
      const bool ours = target == 0 || (s.thread && &s.thread->context == &Context::current());
      if (!ours || s.graph || !idle(it->second)) {
        ++it;
        continue;
      }
      asan_unpoison(it->first, it->second.ranges.capacity());
      cudaFree(it->first);
      it = segments_.erase(it);
    }
  }

  void fill_with_nan(void* block, std::size_t bytes) override {
    if (thread_context().capturing && PersistentMemory::active()) return;  // it may be filled before a launch, which must not do this then
    check(cudaMemsetAsync(block, 0xff, bytes, stream()), "poison");
  }
  std::string where() const override {
    std::size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    const std::string limited = limit() > 0 ? str(", limited to ", limit() >> 20, "M") : std::string();
    return str(" on ", Device{DeviceType::cuda, device_}, ", of whose ", total >> 20, "M ", free >> 20, "M are free", limited);
  }
#if defined(G2S_EMULATE)
  void on_allocate(void* block, std::size_t bytes) override {
    if (simt::record_block) simt::record_block(block, bytes);
    // When the stream comes to it: what was asked for before may use the block still.
    if constexpr (simt::memory_is_counted) {
      if (thread_context().capturing && PersistentMemory::active())
        return simt::mark_written(block, bytes, false);  // once, not at each launch of the graph
      simt::enqueue(stream(), [=] { simt::mark_written(block, bytes, false); });
    }
  }
  void on_release(void* block) noexcept override {
    if (simt::record_block) simt::record_block(block, 0);
  }
#endif

 private:
  struct Segment {
    RangeAllocator ranges;
    const ThreadContext* thread;             // null: its thread has ended
    const CudaGraph* graph;                  // or null
    bool open = false;               // a graph writes there
  };

  static bool has_room(Segment& segment, std::size_t bytes) {
    const std::size_t offset = segment.ranges.take(bytes);
    if (offset == RangeAllocator::none) return false;
    segment.ranges.give(offset, bytes);
    return true;
  }
  static bool idle(Segment& segment) { return has_room(segment, segment.ranges.capacity()); }

  void* cut(const CudaGraph* graph, std::size_t wanted) {
    for (auto& [base, segment] : segments_) {
      if (segment.thread != &thread_context() || segment.graph != graph) continue;
      if (const std::size_t offset = segment.ranges.take(wanted); offset != RangeAllocator::none) return base + offset;
    }
    return nullptr;
  }

  // Takes over the smallest segment that will do: for a graph an idle one of this thread or of none, for the thread one of none.
  bool adopt(const CudaGraph* graph, std::size_t wanted) {
    Segment* best = nullptr;
    for (auto& [base, segment] : segments_) {
      const std::size_t capacity = segment.ranges.capacity();
      if (segment.graph || capacity < wanted || (best && capacity >= best->ranges.capacity())) continue;
      if (segment.thread != &thread_context() && limit() > 0 && held_by_context() + capacity > limit()) continue;
      const bool fits =
          graph ? (!segment.thread || segment.thread == &thread_context()) && idle(segment) : !segment.thread && has_room(segment, wanted);
      if (fits) best = &segment;
    }
    if (!best) return false;
    best->thread = &thread_context();
    best->graph = graph;
    return true;
  }

  static void* from_driver(std::size_t bytes) {
    void* memory = nullptr;
    if (cudaMalloc(&memory, bytes) == cudaSuccess) return memory;
    cudaGetLastError();
    return nullptr;
  }

  bool add_segment(const CudaGraph* graph, std::size_t wanted) {
    std::size_t capacity = round_up(wanted, limit() > 0 ? segment_below_limit : usual_segment);
    if (limit() > 0 && held_by_context() + capacity > limit()) {
      give_back(limit() > capacity ? limit() - capacity : 1);
      capacity = std::min(capacity, (limit() - std::min(limit(), held_by_context())) / granularity * granularity);
      if (capacity < wanted) return false;
    }
    const DriverCalls allowed;
    void* segment = from_driver(capacity);
    if (!segment) {
      give_back(0);
      segment = from_driver(capacity);
    }
    if (!segment) segment = from_driver(capacity = round_up(wanted, granularity));
    if (!segment) return false;
    asan_poison(segment, capacity);
    segments_.emplace(static_cast<char*>(segment), Segment{RangeAllocator(capacity), &thread_context(), graph});
    return true;
  }

  Segment& segment_of(void* block) { return (--segments_.upper_bound(static_cast<char*>(block)))->second; }

  const int device_;
  std::map<char*, Segment> segments_;
};

class CudaGraph final : public DeviceGraph {
 public:
  CudaGraph(DeviceAllocator& memory, const char* name) : memory_(memory), worker_(thread_context()), name_(name) {}
  ~CudaGraph() override {
    if (exec_) {
      cudaStreamSynchronize(worker_.stream);  // it may be running
      count_host_sync();
      cudaGraphExecDestroy(exec_);
    }
    memory_.retire(this);
    for (const auto& [block, bytes] : retained_) memory_.release(block, bytes);
  }

  void begin_capture() override {
    check(cudaStreamBeginCapture(worker_.stream, cudaStreamCaptureModeThreadLocal), name_);
    worker_.capturing = true;
  }

  void end_capture() override {
    worker_.capturing = false;
    cudaGraph_t captured = nullptr;
    cudaError_t result = cudaStreamEndCapture(worker_.stream, &captured);
    if (result == cudaSuccess) {
      result = cudaGraphInstantiate(&exec_, captured, 0);
      cudaGraphDestroy(captured);
    }
    if (result != cudaSuccess) {
      cudaGetLastError();
      fail(Errc::internal, worker_.last_launch, "this kernel was the last in work that cannot be repeated as a graph: ", cudaGetErrorString(result));
    }
    memory_.open(this);
  }

  void abandon_capture() noexcept override {
    worker_.capturing = false;
    cudaGraph_t captured = nullptr;
    if (cudaStreamEndCapture(worker_.stream, &captured) == cudaSuccess) cudaGraphDestroy(captured);
    cudaGetLastError();
  }

  void launch() override {
    check(cudaGraphLaunch(exec_, worker_.stream), name_);
    worker_.last_launch = name_;
    count_graph_launch();
  }

  // A block that the graph may read, although the host has let go of it.
  void retain(void* block, std::size_t bytes) { retained_.emplace_back(block, bytes); }

 private:
  DeviceAllocator& memory_;
  ThreadContext& worker_;
  const char* name_;
  cudaGraphExec_t exec_ = nullptr;
  std::vector<std::pair<void*, std::size_t>> retained_;
};

inline CudaGraph* recording_of_thread() { return static_cast<CudaGraph*>(thread_state().graph); }

inline AllocatorBase::Release DeviceAllocator::before_release(void* block, std::size_t bytes) noexcept {
  const Segment& segment = segment_of(block);
  const ThreadResources* own = thread_state().resources;  // null at the very end of a thread
  const ThreadContext* w = own ? own->objects.find<ThreadContext>() : nullptr;
  if (!w) return Release::give;
  if (w->capturing && segment.graph != recording_of_thread()) {
    recording_of_thread()->retain(block, bytes);
    return Release::retained;
  }
  // Another thread may use it again at once: this one must have come to an end with it.
  return segment.thread && segment.thread != w ? Release::wait : Release::give;
}

}  // namespace g2s::cuda
