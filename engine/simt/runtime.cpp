#include "engine/simt/runtime.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "engine/error.h"
#include "engine/simt/hooks.h"
#include "engine/simt/machine.h"

// Names an emulated device has, so that nobody takes its results for a GPU's.
namespace {
constexpr char device_name[] = "SIMT emulator";
constexpr std::size_t alignment = 256;  // what cudaMalloc gives

constexpr int lost = 0xff;  // what a graph reads in pageable memory: NaNs
constexpr int runtime_version = 13000;

using g2s::simt::machine;

// Host memory that copies of a graph may read.
struct Pinned {
  std::mutex mutex;
  std::map<const char*, std::size_t> blocks;
  bool holds(const void* from, std::size_t bytes) {
    std::lock_guard lock(mutex);
    const char* begin = static_cast<const char*>(from);
    auto it = blocks.upper_bound(begin);
    return it != blocks.begin() && (--it, begin + bytes <= it->first + it->second);
  }
};
Pinned& pinned() {
  static auto* p = new Pinned;
  return *p;
}

// Captures under way that keep all threads, and this thread, from getting memory, unless they ask for the relaxed mode.
std::atomic<int> global_captures{0};
thread_local int own_captures = 0;
thread_local cudaStreamCaptureMode own_mode = cudaStreamCaptureModeGlobal;
bool memory_forbidden() { return own_mode != cudaStreamCaptureModeRelaxed && (own_captures > 0 || global_captures > 0); }
void count_capture(cudaStreamCaptureMode mode, int by) {
  own_captures += mode == cudaStreamCaptureModeRelaxed ? 0 : by;
  global_captures += mode == cudaStreamCaptureModeGlobal ? by : 0;
}

std::atomic<bool> late{std::getenv("G2S_SIMT_LATE") != nullptr};

thread_local int current_device = 0;

std::size_t device_memory() {
  if (machine().memory > 0) return machine().memory;
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// What is taken, of each device.
struct Taken {
  struct Block {
    int device;
    std::size_t bytes;
  };
  std::mutex mutex;
  std::unordered_map<void*, Block> blocks;
  std::map<int, std::size_t> sums;
};
Taken& taken() {
  static auto* t = new Taken;
  return *t;
}

int usable_devices() { return machine().driver < runtime_version ? 0 : machine().devices; }

void* aligned_block(std::size_t bytes) { return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment); }

cudaError_t state() { return g2s::simt::has_failed() ? cudaErrorIllegalAddress : cudaSuccess; }
}  // namespace

namespace g2s::simt {

struct Graph {
  std::vector<std::function<void()>> work;
};

struct Stream {
  int device = current_device;
  std::unique_ptr<Graph> capture;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::deque<std::function<void()>> waiting;  // put off
};

struct Event {
  Stream* stream = nullptr;
  bool done = true;
};

namespace {
void catch_up(Stream* stream) {
  while (stream && !stream->waiting.empty()) {
    const auto work = std::move(stream->waiting.front());
    stream->waiting.pop_front();
    work();
  }
}

}  // namespace

void set_late(bool on) { late = on; }

void enqueue(Stream* stream, std::function<void()> work) {
  if (stream && stream->device != current_device)
    fail(Errc::internal, "launch", "the stream is of device ", stream->device, ", this host thread on ", current_device);
  if (stream && stream->capture) stream->capture->work.push_back(std::move(work));
  else if (stream && late) stream->waiting.push_back(std::move(work));
  else catch_up(stream), work();
}

}  // namespace g2s::simt

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInsufficientDriver: return "CUDA driver version is insufficient for CUDA runtime version";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice: return "invalid device ordinal";
    case cudaErrorNoKernelImageForDevice: return "no kernel image is available for execution on the device";
    case cudaErrorInvalidResourceHandle: return "invalid resource handle";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorNotReady: return "device not ready";
    case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
  }
  return "unknown error";
}

cudaError_t cudaGetLastError() { return state(); }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = usable_devices();
  if (machine().driver < runtime_version) return cudaErrorInsufficientDriver;
  return *count > 0 ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = machine().driver;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = runtime_version;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= usable_devices()) return cudaErrorInvalidDevice;
  current_device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void*) {
  *attributes = {};
  return machine().kernels ? cudaSuccess : cudaErrorNoKernelImageForDevice;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  std::lock_guard lock(taken().mutex);
  *total = device_memory();
  *free = *total - std::min(*total, taken().sums[current_device]);
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= usable_devices()) return cudaErrorInvalidDevice;
  *properties = {};
  std::memcpy(properties->name, device_name, sizeof device_name);
  properties->major = machine().capability / 10;
  properties->minor = machine().capability % 10;
  properties->multiProcessorCount = 132;
  properties->totalGlobalMem = device_memory();
  properties->sharedMemPerBlockOptin = std::size_t{227} << 10;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  if (memory_forbidden()) return cudaErrorStreamCaptureUnsupported;
  std::lock_guard lock(taken().mutex);
  std::size_t& sum = taken().sums[current_device];
  if (bytes > device_memory() || (machine().memory > 0 && bytes > device_memory() - sum)) return cudaErrorMemoryAllocation;
  *block = aligned_block(bytes);
  if (!*block) return cudaErrorMemoryAllocation;
  taken().blocks[*block] = {current_device, bytes};
  sum += bytes;
  g2s::simt::add_device_memory(*block, bytes);
  return cudaSuccess;
}

cudaError_t cudaFree(void* block) {
  if (memory_forbidden()) return cudaErrorStreamCaptureUnsupported;
  g2s::simt::remove_device_memory(block);
  std::lock_guard lock(taken().mutex);
  if (const auto it = taken().blocks.find(block); it != taken().blocks.end()) {
    taken().sums[it->second.device] -= it->second.bytes;
    taken().blocks.erase(it);
  }
  std::free(block);
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** block, std::size_t bytes, unsigned) {
  if (memory_forbidden()) return cudaErrorStreamCaptureUnsupported;
  *block = aligned_block(bytes);
  if (!*block) return cudaErrorMemoryAllocation;
  std::lock_guard lock(pinned().mutex);
  pinned().blocks[static_cast<const char*>(*block)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* block) {
  if (memory_forbidden()) return cudaErrorStreamCaptureUnsupported;
  if (block) {
    std::lock_guard lock(pinned().mutex);
    if (pinned().blocks.erase(static_cast<const char*>(block)) == 0) return cudaErrorInvalidValue;
  }
  std::free(block);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const bool pageable = (kind == cudaMemcpyHostToDevice && !pinned().holds(from, bytes)) || (kind == cudaMemcpyDeviceToHost && !pinned().holds(to, bytes));
  if (stream && stream->capture && pageable && kind == cudaMemcpyHostToDevice) return cudaMemsetAsync(to, lost, bytes, stream);
  g2s::simt::enqueue(stream, [=] {
    std::memcpy(to, from, bytes);
    g2s::simt::mark_copied(to, from, bytes);
  });
  if (pageable) g2s::simt::catch_up(stream);  // done before the call returns
  return state();
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  g2s::simt::enqueue(stream, [=] {
    std::memset(to, value, bytes);
    g2s::simt::mark_written(to, bytes);
  });
  return state();
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = new g2s::simt::Stream;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return cudaStreamCreate(stream); }

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  g2s::simt::catch_up(stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (g2s::simt::record_wait) g2s::simt::record_wait();
  if (stream && stream->capture) return cudaErrorStreamCaptureUnsupported;
  g2s::simt::catch_up(stream);
  return state();
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new g2s::simt::Event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->stream = stream;
  event->done = false;
  g2s::simt::enqueue(stream, [event] { event->done = true; });
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) { return event->done ? cudaSuccess : cudaErrorNotReady; }

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->stream && event->stream->capture) return cudaErrorStreamCaptureUnsupported;
  g2s::simt::catch_up(event->stream);
  return state();
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  g2s::simt::catch_up(event->stream);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, own_mode);
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (!stream || stream->capture) return cudaErrorInvalidValue;
  stream->mode = mode;
  count_capture(mode, 1);
  stream->capture = std::make_unique<g2s::simt::Graph>();
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream || !stream->capture) return cudaErrorInvalidValue;
  count_capture(stream->mode, -1);
  *graph = stream->capture.release();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new g2s::simt::Graph(*graph);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  for (const auto& work : exec->work) g2s::simt::enqueue(stream, work);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
