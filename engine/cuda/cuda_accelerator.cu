// CUDA as the engine sees it: devices, memory, copies, and where errors of kernels come out. Compiled by nvcc, or with G2S_EMULATE as C++.
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "engine/accelerator.h"
#include "engine/cuda/launch.cuh"
#include "engine/cuda/launches.h"
#include "engine/cuda/ptx.cuh"
#include "engine/error.h"
#include "engine/ranges.h"

#if defined(__SANITIZE_ADDRESS__) && defined(G2S_EMULATE)
#include <sanitizer/asan_interface.h>
#define G2S_FORBID(block, bytes) __asan_poison_memory_region(block, bytes)
#define G2S_ALLOW(block, bytes) __asan_unpoison_memory_region(block, bytes)
#else
#define G2S_FORBID(block, bytes) ((void)(block), (void)(bytes))
#define G2S_ALLOW(block, bytes) ((void)(block), (void)(bytes))
#endif

namespace g2s::cuda {
namespace {

constexpr std::size_t granularity = 256;                       // of blocks, what vector loads want at least
constexpr std::size_t least_segment = std::size_t{256} << 20;  // taken from the driver at once

std::size_t round_up(std::size_t bytes, std::size_t step) { return (bytes + step - 1) / step * step; }

const char* last_launch = "nothing";

// Blocks are cut from segments that are kept: cudaMalloc waits for the device. One stream does all work, so a block may be used again as
// soon as the host has let go of it.
class DeviceAllocator final : public Allocator {
 public:
  DeviceAllocator() : poison_(std::getenv("G2S_POISON") != nullptr) {}

  void* allocate(std::size_t bytes) override {
    if (bytes == 0) return nullptr;
    std::lock_guard lock(mutex_);
    const std::size_t size = block_size(bytes);
    void* block = take(size);
    stats_.in_use += size;
    stats_.handed_out += size;
    if (stats_.in_use > stats_.peak) stats_.peak = stats_.in_use;
    G2S_ALLOW(block, bytes);
    if (poison_) check(cudaMemsetAsync(block, 0xff, bytes, stream()), "poison");
    return block;
  }

  void release(void* block, std::size_t bytes) noexcept override {
    if (!block) return;
    std::lock_guard lock(mutex_);
    const std::size_t size = block_size(bytes);
    stats_.in_use -= size;
    G2S_FORBID(block, size);
    auto it = --segments_.upper_bound(static_cast<char*>(block));
    it->second.give(static_cast<std::size_t>(static_cast<char*>(block) - it->first), size);
  }

  MemoryStats stats() const override {
    std::lock_guard lock(mutex_);
    MemoryStats stats = stats_;
    for (const auto& [base, ranges] : segments_) stats.reserved += ranges.capacity();
    return stats;
  }

  void reset_peak() override {
    std::lock_guard lock(mutex_);
    stats_.peak = stats_.in_use;
  }

  void set_limit(std::size_t bytes) override {
    std::lock_guard lock(mutex_);
    limit_ = bytes;
  }

  // Segments of which nothing is in use.
  void trim() override {
    std::lock_guard lock(mutex_);
    for (auto it = segments_.begin(); it != segments_.end();) {
      const std::size_t capacity = it->second.capacity();
      const std::size_t all = it->second.take(capacity);
      if (all == Ranges::none) {
        ++it;
        continue;
      }
      G2S_ALLOW(it->first, capacity);
      cudaFree(it->first);
      it = segments_.erase(it);
    }
  }

 private:
  static std::size_t block_size(std::size_t bytes) {
#if defined(__SANITIZE_ADDRESS__) && defined(G2S_EMULATE)
    bytes += granularity;  // nobody's
#endif
    return round_up(bytes, granularity);
  }

  void* take(std::size_t size) {
    for (auto& [base, ranges] : segments_)
      if (const std::size_t offset = ranges.take(size); offset != Ranges::none) return base + offset;
    const std::size_t capacity = round_up(size, least_segment);
    void* segment = nullptr;
    std::size_t reserved = capacity;
    for (const auto& [base, ranges] : segments_) reserved += ranges.capacity();
    if ((limit_ > 0 && reserved > limit_) || size > capacity || cudaMalloc(&segment, capacity) != cudaSuccess) {
      cudaGetLastError();
      fail(Errc::out_of_memory, "allocate", size, " bytes on the device, with ", stats_.in_use, " in use");
    }
    G2S_FORBID(segment, capacity);
    Ranges& ranges = segments_.emplace(static_cast<char*>(segment), Ranges(capacity)).first->second;
    return static_cast<char*>(segment) + ranges.take(size);
  }

  mutable std::mutex mutex_;
  std::map<char*, Ranges> segments_;
  MemoryStats stats_;
  std::size_t limit_ = 0;
  bool poison_;
};

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

class CudaAccelerator final : public Accelerator {
 public:
  int count() override {
    look();
    return count_;
  }
  std::string absence() override {
    look();
    return absence_;
  }
  std::string name(int index) override {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
    return properties.name;
  }
  Allocator& allocator(int index) override {
    if (index != 0) fail(Errc::unsupported, "allocator", "one process works on one CUDA device; choose it with CUDA_VISIBLE_DEVICES");
    return allocator_;
  }

  void copy(void* to, const void* from, std::size_t bytes, CopyKind kind) override {
    const cudaMemcpyKind how = kind == CopyKind::host_to_device   ? cudaMemcpyHostToDevice
                               : kind == CopyKind::device_to_host ? cudaMemcpyDeviceToHost
                                                                  : cudaMemcpyDeviceToDevice;
    check(cudaMemcpyAsync(to, from, bytes, how, stream()), "copy");
    if (kind == CopyKind::device_to_host) synchronize();
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
    count_host_wait();
    const cudaError_t result = cudaStreamSynchronize(stream());
    if (result != cudaSuccess) fail(Errc::internal, last_launch, "the device reports an error after this kernel was launched: ", cudaGetErrorString(result));
  }

 private:
  void look() {
    if (looked_) return;
    looked_ = true;
    const cudaError_t result = cudaGetDeviceCount(&count_);
    if (result == cudaSuccess) return;
    count_ = 0;
    absence_ = cudaGetErrorString(result);
    cudaGetLastError();
  }

  DeviceAllocator allocator_;
  bool looked_ = false;
  int count_ = 0;
  std::string absence_ = "no device was found";
};

std::map<std::string, std::int64_t>& counts() {
  static auto* c = new std::map<std::string, std::int64_t>;
  return *c;
}

}  // namespace

cudaStream_t stream() {
  static cudaStream_t s = [] {
    cudaStream_t made = nullptr;
    check(cudaStreamCreate(&made), "cudaStreamCreate");
    return made;
  }();
  return s;
}

bool tensor_cores() {
  static const bool have = [] {
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    return properties.major >= 8;
  }();
  return have;
}

void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  const Errc code = result == cudaErrorMemoryAllocation ? Errc::out_of_memory : Errc::internal;
  fail(code, what, "CUDA says: ", cudaGetErrorString(result));
}

void note_launch(const Launch& launch) {
  last_launch = launch.name;
  ++counts()[launch.name];
}

std::map<std::string, std::int64_t> launches() { return counts(); }
void forget_launches() { counts().clear(); }

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
