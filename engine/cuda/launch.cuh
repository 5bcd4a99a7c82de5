// What a .cu file includes: CUDA's words, or with G2S_EMULATE those of the emulator, and the one way to launch a kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

#if defined(G2S_EMULATE)
#include <source_location>

#include "engine/simt/hooks.h"
#include "engine/simt/machine.h"
#include "engine/simt/runtime.h"
#else
#include <cuda_runtime.h>
#endif

namespace g2s::cuda {

// The stream that this thread works on.
cudaStream_t stream();

// Throws Error naming `what` unless the call succeeded.
void check(cudaError_t result, const char* what);

struct Launch {
  const char* name;  // in errors, profiles and the list of launches
  dim3 blocks;
  dim3 threads;
  std::size_t shared_bytes = 0;
};

void note_launch(const Launch& launch);

// Where a launch begins in a grid that launch_in_parts cuts: what its kernel adds to blockIdx.
struct FirstBlock {
  unsigned y, z;
};

#if defined(G2S_EMULATE)
// Of a product of tiles: steps along k of all slices.
template <class... Values>
std::int64_t steps_of_gemm([[maybe_unused]] const std::tuple<Values...>& values, [[maybe_unused]] unsigned slices) {
  std::int64_t steps = 0;
  if constexpr (sizeof...(Values) == 2) {
    const auto& [gemm, first] = values;
    if constexpr (requires { gemm.slice(first.z).steps; })
      for (unsigned z = first.z; z < first.z + slices; ++z) {
        const auto slice = gemm.slice(static_cast<int>(z));
        steps += slice.steps > 0 ? slice.steps : 0;
      }
  }
  return steps;
}

template <class Values>
bool runs_elsewhere(const simt::KernelLaunch& l, const Values& values) {
  if (!simt::run_elsewhere) return false;
  return std::apply(
      [&](const auto&... value) {
        const void* const pointers[sizeof...(value) + 1] = {static_cast<const void*>(&value)..., nullptr};
        return simt::run_elsewhere(l, pointers, sizeof...(value));
      },
      values);
}
#else
void launch_kernel(const Launch& launch, const void* kernel, void** arguments);
#endif

template <class... P, class... A>
void launch(const Launch& l, void (*kernel)(P...), A... arguments) {
  static_assert((std::is_trivially_copyable_v<std::remove_cvref_t<P>> && ...), "arguments are copied as bytes");
  std::tuple<P...> values(arguments...);
  note_launch(l);
#if defined(G2S_EMULATE)
  const simt::KernelLaunch emulated{l.name, reinterpret_cast<const void*>(kernel), l.blocks, l.threads, l.shared_bytes};
  if (simt::record && simt::record(emulated, &values, sizeof values, steps_of_gemm(values, l.blocks.z))) return;
  if (simt::note_sizes) simt::note_sizes(emulated);
  simt::enqueue(stream(), [emulated, kernel, values] {
    if (runs_elsewhere(emulated, values)) return;
    simt::run(emulated.name, emulated.blocks, emulated.threads, emulated.shared_bytes, [&] { std::apply(kernel, values); }, emulated.kernel);
  });
  if (simt::launches_block()) check(cudaGetLastError(), l.name);
#else
  std::apply(
      [&](auto&... value) {
        void* pointers[sizeof...(P) + 1] = {const_cast<void*>(static_cast<const void*>(&value))..., nullptr};
        launch_kernel(l, reinterpret_cast<const void*>(kernel), pointers);
      },
      values);
#endif
}

// A grid of any number of blocks in y and z, of which a device takes 65,535 at once: one launch as a rule, several where images or products
// are many. `kernel` has a FirstBlock behind its other parameters.
template <class... P, class... A>
void launch_in_parts(Launch l, void (*kernel)(P...), A... arguments) {
  constexpr std::int64_t most = 65535;
  const std::int64_t rows = l.blocks.y, layers = l.blocks.z;
  for (std::int64_t z = 0; z < layers; z += most)
    for (std::int64_t y = 0; y < rows; y += most) {
      l.blocks.y = static_cast<unsigned>(rows - y < most ? rows - y : most);
      l.blocks.z = static_cast<unsigned>(layers - z < most ? layers - z : most);
      launch(l, kernel, arguments..., FirstBlock{static_cast<unsigned>(y), static_cast<unsigned>(z)});
    }
}

constexpr unsigned each_threads = 256;

inline unsigned blocks_for(std::int64_t count, std::int64_t per_block) { return static_cast<unsigned>((count + per_block - 1) / per_block); }

template <class F>
__global__ void each_kernel(std::int64_t count, F f) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) f(i);
}

// f(i) for every i in [0, count), one thread each. f is a `[=] __device__ (std::int64_t i)` lambda.
template <class F>
void each(const char* name, std::int64_t count, F f) {
  if (count > 0) launch({name, blocks_for(count, each_threads), each_threads}, each_kernel<F>, count, f);
}

#if defined(G2S_EMULATE)
#define G2S_CALL_SITE std::source_location at = std::source_location::current()
// The block's shared memory as a T; the launch must ask for sizeof(T) bytes at least. All of a kernel's shared memory is this one object.
template <class T>
inline T& shared(G2S_CALL_SITE) {
  return simt::shared_memory<T>(at);
}
#else
template <class T>
__device__ __forceinline__ T& shared() {
  extern __shared__ __align__(16) unsigned char g2s_shared_bytes[];
  return *reinterpret_cast<T*>(g2s_shared_bytes);
}
#endif

// The sum of `value` over a warp, in every lane, always in the same order.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}

constexpr unsigned most_warps = 32;  // of a block

// The sum of `value` over a one-dimensional block of whole warps, in every thread, always in the same order. `warps` is shared memory for
// most_warps values.
template <class T>
__device__ __forceinline__ T block_sum(T value, T* warps) {
  value = warp_sum(value);
  __syncthreads();  // an earlier sum has been read
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  T total = 0;
  for (unsigned w = 0; w < blockDim.x / 32; ++w) total += warps[w];
  return total;
}

}  // namespace g2s::cuda
