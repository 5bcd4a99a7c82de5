// CUDA as the engine sees it: devices, memory, copies, and where errors of kernels come out. Compiled by nvcc, or with G2S_EMULATE as C++.
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "engine/accelerator.h"
#include "engine/context.h"
#include "engine/cuda/backend.h"
#include "engine/cuda/device.h"
#include "engine/cuda/device_memory.cuh"
#include "engine/cuda/launch.cuh"
#include "engine/cuda/launches.h"
#include "engine/cuda/ptx.cuh"
#include "engine/cuda/sm_version.h"
#include "engine/cuda/staging.cuh"
#include "engine/error.h"

namespace g2s::cuda {
namespace {

template <std::size_t Size>
struct Element {
  alignas(Size) unsigned char bytes[Size];
};

template <std::size_t Size>
void fill_elements(void* to, std::int64_t count, const void* element) {
  Element<Size> value;
  std::memcpy(&value, element, Size);
  auto* y = static_cast<Element<Size>*>(to);
  each("fill", count, [=] __device__(std::int64_t i) { y[i] = value; });
}

__device__ inline double widen(float v) { return v; }
__device__ inline double widen(double v) { return v; }
__device__ inline double widen(std::int32_t v) { return v; }
__device__ inline double widen(std::uint8_t v) { return v; }
__device__ inline double widen(bf16 v) { return __uint_as_float(static_cast<unsigned>(v.bits) << 16); }

template <class T>
__device__ inline T narrow(double v) {
  if constexpr (std::is_same_v<T, bf16>) {  // to the nearest, ties to even; a NaN stays one
    const unsigned bits = __float_as_uint(static_cast<float>(v));
    if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>(bits >> 16 | 0x40u)};
    return {static_cast<std::uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
  } else {
    return static_cast<T>(v);
  }
}

template <class To, class From>
void convert_elements(void* to, const void* from, std::int64_t count) {
  auto* y = static_cast<To*>(to);
  const auto* x = static_cast<const From*>(from);
  each("convert", count, [=] __device__(std::int64_t i) { y[i] = narrow<To>(widen(x[i])); });
}

template <class T>
void add_elements(const void* a, const void* b, void* y, std::int64_t count) {
  const auto *u = static_cast<const T*>(a), *v = static_cast<const T*>(b);
  auto* sum = static_cast<T*>(y);
  each("add", count, [=] __device__(std::int64_t i) { sum[i] = u[i] + v[i]; });
}

// Calls f with a value of the type. f16 is for files only.
template <class F>
void visit(DType type, F f) {
  switch (type) {
    case DType::f32: return f(float{});
    case DType::f64: return f(double{});
    case DType::bf16: return f(bf16{});
    case DType::i32: return f(std::int32_t{});
    case DType::u8: return f(std::uint8_t{});
    case DType::f16: fail(Errc::unsupported, "to", "f16 is not converted on a device");
  }
}

// One for each device that was used. Never destroyed: tensors with static storage may be released after they would be.
DeviceAllocator& device_memory(int device) {
  static std::mutex mutex;
  static auto* const all = new std::map<int, DeviceAllocator>;
  std::lock_guard lock(mutex);
  return all->try_emplace(device, device).first->second;
}

class CudaAccelerator final : public Accelerator {
 public:
  int count() override {
    find_devices();
    return count_;
  }
  std::string unavailable_reason() override {
    find_devices();
    return reason_;
  }
  std::string name(int index) override {
    return device_facts(index).name;
  }
  Allocator& allocator(int index) override { return device_memory(index); }

  void copy(void* to, const void* from, std::size_t bytes, CopyKind kind) override {
    switch (kind) {
      case CopyKind::device_to_device: return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "copy");
      case CopyKind::device_to_host_later: return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream()), "copy");
      case CopyKind::host_to_device: refuse_in_capture("copies from the host"); return thread_object<Staging>().write(to, from, bytes);
      case CopyKind::device_to_host:
        refuse_in_capture("copies to the host");
        count_host_sync();
        return thread_object<Staging>().read(to, from, bytes);
    }
  }

  void fill(void* to, std::int64_t count, std::size_t size, const void* element) override {
    switch (size) {
      case 1: return check(cudaMemsetAsync(to, *static_cast<const unsigned char*>(element), static_cast<std::size_t>(count), stream()), "fill");
      case 2: return fill_elements<2>(to, count, element);
      case 4: return fill_elements<4>(to, count, element);
      case 8: return fill_elements<8>(to, count, element);
      default: fail(Errc::internal, "fill", "elements of ", size, " bytes");
    }
  }

  void convert(void* to, DType to_type, const void* from, DType from_type, std::int64_t count) override {
    visit(from_type, [&](auto a) { visit(to_type, [&](auto b) { convert_elements<decltype(b), decltype(a)>(to, from, count); }); });
  }

  void add(DType type, const void* a, const void* b, void* y, std::int64_t count) override {
    type == DType::f64 ? add_elements<double>(a, b, y, count) : add_elements<float>(a, b, y, count);
  }

  void synchronize() override {
    refuse_in_capture("waits for the device");
    count_host_sync();
    check_device(cudaStreamSynchronize(stream()));
  }

  std::shared_ptr<void> pinned(std::size_t bytes) override {
    void* memory = nullptr;
    check(cudaHostAlloc(&memory, bytes, cudaHostAllocDefault), "pinned memory");
    return {memory, [](void* m) { cudaFreeHost(m); }};
  }

  std::unique_ptr<DeviceGraph> graph(const char* name) override {
    return std::make_unique<CudaGraph>(device_memory(thread_context().device), name);
  }

 private:
  void find_devices() {
    std::call_once(looked_, [this] {
      reason_ = no_device_reason();
      if (reason_.empty()) check(cudaGetDeviceCount(&count_), "cudaGetDeviceCount");
    });
  }

  std::once_flag looked_;
  int count_ = 0;
  std::string reason_;
};

// Which errors are of kernels that have run, and not of the call that reports them: CUDA's numbers from 700 on.
bool of_a_launch(cudaError_t result) {
  constexpr int first = 700, too_many_resources = 701, end = 720;
  const int number = static_cast<int>(result);
  return number >= first && number < end && number != too_many_resources;
}

struct Counts {
  std::mutex mutex;
  std::map<std::string, std::int64_t> by_name;
};
Counts& counts() { return Context::current().object<Counts>(); }

}  // namespace

ThreadContext::ThreadContext() {
  check(cudaSetDevice(device), "cudaSetDevice");
  stream = static_cast<cudaStream_t>(context.options().stream);
  const bool of_caller = stream != nullptr;
  if (!of_caller) check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  ThreadResources& resources = thread_resources();
  resources.enter = [this] { cudaSetDevice(device); };
  if (of_caller) return;
  resources.leave = [this] {
    cudaStreamSynchronize(stream);
    device_memory(device).hand_over(this);
  };
}

ThreadContext::~ThreadContext() {
  cudaStreamSynchronize(stream);
  device_memory(device).hand_over(this);
  if (!context.options().stream) cudaStreamDestroy(stream);
}

cudaStream_t stream() { return thread_context().stream; }

int sm_version() {
  struct Version {
    int number = device_facts(current_device()).capability;
  };
  return Context::current().object<Version>().number;
}

bool tensor_cores() { return sm_version() >= tensor_core_capability; }

void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  if (of_a_launch(result)) fail_after_launch(result);
  const Errc code = result == cudaErrorMemoryAllocation ? Errc::out_of_memory : Errc::internal;
  fail(code, what, "CUDA says: ", cudaGetErrorString(result));
}

void note_launch(const Launch& launch) {
  thread_context().last_launch = launch.name;
  std::lock_guard lock(counts().mutex);
  ++counts().by_name[launch.name];
}

std::map<std::string, std::int64_t> launches() {
  std::lock_guard lock(counts().mutex);
  return counts().by_name;
}

void forget_launches() {
  std::lock_guard lock(counts().mutex);
  counts().by_name.clear();
}

#if !defined(G2S_EMULATE)
void launch_kernel(const Launch& l, const void* kernel, void** arguments) {
  constexpr std::size_t usual_shared = std::size_t{48} << 10;  // more must be asked for
  if (l.shared_bytes > usual_shared)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(l.shared_bytes)), l.name);
  check(cudaLaunchKernel(kernel, l.blocks, l.threads, arguments, l.shared_bytes, stream()), l.name);
}
#endif

}  // namespace g2s::cuda

namespace g2s {

// Never destroyed: tensors with static storage may be released after it would be.
Accelerator* cuda_accelerator() {
  static auto* a = new cuda::CudaAccelerator;
  return a;
}

}  // namespace g2s
