// Runs CUDA kernels on the host, so that they can be tested where there is no GPU: the same .cu files, compiled as C++ (G2S_EMULATE).
// Each thread of a block ("lane") is a fiber on one host thread; blocks are spread over the thread pool. The order in which lanes and blocks
// run is chosen by set_order(), or by G2S_SIMT_ORDER=forward|reverse|shuffle: a right kernel's results do not depend on it.
//
// What is found: a barrier or a warp operation that not all lanes reach, or at different places; a shuffle that names an exited lane or is
// called outside its mask; writes beyond shared memory; shared memory that is read before it is written (it starts as NaN) or before its
// asynchronous copy was waited for (NaN again). With
// AddressSanitizer every access beyond shared or global memory, with ThreadSanitizer a missing barrier.
//
// Included by engine/cuda/launch.cuh alone. Kernels are written in CUDA's words: threadIdx, __syncthreads(), __shfl_xor_sync(...).
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <source_location>
#include <vector>

#include "engine/simt/order.h"

namespace g2s::simt {

struct Index {
  unsigned x = 0, y = 0, z = 0;
};

struct Extent {  // dim3
  unsigned x, y, z;
  constexpr Extent(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr std::size_t count() const { return std::size_t{x} * y * z; }
};

constexpr unsigned warp_size = 32;
constexpr std::size_t slot_bytes = 64;

enum class Wait : std::uint8_t { ready, block, warp, done };

struct Fiber;

// An asynchronous copy into shared memory, of which `taken` bytes come from memory and the rest are zeros.
struct Copy {
  unsigned char* to;
  const unsigned char* from;
  unsigned bytes, taken;
  unsigned group;  // the number of groups committed before it
};

// One thread of a block.
struct Lane {
  Index thread;
  unsigned number = 0;  // in its block
  Wait wait = Wait::ready;
  unsigned mask = 0;          // of the warp operation that it waits in
  std::source_location at;    // where it waits
  Fiber* fiber = nullptr;
  unsigned barriers = 0, whole_warps = 0;  // that it came to, counted for ThreadSanitizer
  // What it shows to its warp: `turn` is written, `readable` is what the last completed operation may read. A lane that runs ahead writes the other.
  unsigned turn = 0, readable = 0;
  alignas(16) unsigned char slot[2][slot_bytes] = {};
  std::vector<Copy> copies;  // begun, in order, and not waited for
  unsigned committed = 0;    // groups of copies
};

// What the running lane sees.
struct Environment {
  Lane* lane = nullptr;
  Lane* lanes = nullptr;  // of the block
  Index block;
  Extent blocks, threads;
  unsigned char* shared = nullptr;
  std::size_t shared_bytes = 0;
};
extern constinit thread_local Environment environment;  // constinit: reached without asking whether it has been initialised

inline Lane& lane() { return *environment.lane; }

// Runs `body` as every lane of every block. Errors of a kernel become Error naming `name`. `kernel` is whose accesses to memory are counted.
void run(const char* name, Extent blocks, Extent threads, std::size_t shared_bytes, const std::function<void()>& body, const void* kernel = nullptr);

[[noreturn]] void refuse(const char* what, const std::source_location& at);

// Suspends the lane until all others of its block, or those of `mask` in its warp, wait at the same place.
void wait_for_block(std::source_location at);
void wait_for_warp(unsigned mask, std::source_location at);

// Copies for the emulator's own use: ThreadSanitizer sees nothing of the write.
void write_unwatched(unsigned char* to, const void* from, std::size_t bytes);

// The memory that lane `other` of the warp showed in the operation that this lane is in; throws if it is not part of it.
const void* shown(unsigned mask, unsigned other, const std::source_location& at);

// Shows `value` to the lanes of `mask` and waits until all show theirs.
template <class T>
inline void show(unsigned mask, const T& value, const std::source_location& at) {
  static_assert(sizeof(T) <= slot_bytes);
  if (!environment.lane) refuse("a warp operation outside a kernel", at);
  Lane& l = lane();
  l.turn ^= 1;
#if defined(__SANITIZE_THREAD__)
  write_unwatched(l.slot[l.turn], &value, sizeof value);
#else
  std::memcpy(l.slot[l.turn], &value, sizeof value);
#endif
  wait_for_warp(mask, at);
}

template <class T>
inline T read_shown(unsigned mask, unsigned other, const std::source_location& at) {
  T value;
  std::memcpy(&value, shown(mask, other, at), sizeof value);
  return value;
}

// As vendors' libraries multiply it: ten bits of mantissa, to the nearest, ties away from zero.
inline float as_tf32(float value) { return std::bit_cast<float>((std::bit_cast<unsigned>(value) + 0x1000u) & 0xffffe000u); }

// Asynchronous copies (cp.async). Their bytes arrive when the lane waits for them, not before; until then the destination is NaN.
void begin_copy(void* to, const void* from, unsigned bytes, unsigned taken, const std::source_location& at);
void commit_copies();
// Ends all but the last `most` groups.
void wait_for_copies(unsigned most);

template <class T>
inline T& shared_memory(const std::source_location& at) {
  if (sizeof(T) > environment.shared_bytes) refuse("more shared memory is used than the launch asked for", at);
  return *reinterpret_cast<T*>(environment.shared);
}

}  // namespace g2s::simt

// CUDA's vocabulary.
#define __global__
#define __device__
#define __host__
#if defined(G2S_COUNT_MEMORY)
#define __forceinline__ inline __attribute__((always_inline))  // a return address then says which line of the kernel it was
#else
#define __forceinline__ inline
#endif
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__ __restrict
#define __align__(n) alignas(n)
#define threadIdx (::g2s::simt::lane().thread)
#define blockIdx (::g2s::simt::environment.block)
#define blockDim (::g2s::simt::environment.threads)
#define gridDim (::g2s::simt::environment.blocks)

using dim3 = g2s::simt::Extent;

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

#define G2S_HERE std::source_location at = std::source_location::current()

inline void __syncthreads(G2S_HERE) { g2s::simt::wait_for_block(at); }
inline void __syncwarp(unsigned mask = 0xffffffffu, G2S_HERE) { g2s::simt::show(mask, 0, at); }

namespace g2s::simt {
// Fewer than 32 in the last warp of some blocks.
inline unsigned lanes_in_warp() {
  const auto left = static_cast<unsigned>(environment.threads.count()) - lane().number / warp_size * warp_size;
  return left < warp_size ? left : warp_size;
}
inline unsigned place_in_warp() { return lane().number % warp_size; }
// The last lane of the caller's part of the warp, of `width` lanes, a power of two.
inline unsigned last_of(int width) { return place_in_warp() | (static_cast<unsigned>(width) - 1); }
inline unsigned first_of(int width) { return place_in_warp() & ~(static_cast<unsigned>(width) - 1); }

template <class T>
inline T exchange(unsigned mask, T value, bool inside, unsigned other, const std::source_location& at) {
  show(mask, value, at);
  return inside ? read_shown<T>(mask, other, at) : value;
}
}  // namespace g2s::simt

template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, G2S_HERE) {
  const unsigned other = g2s::simt::first_of(width) + (static_cast<unsigned>(source) & (static_cast<unsigned>(width) - 1));
  return g2s::simt::exchange(mask, value, true, other, at);
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, G2S_HERE) {
  const unsigned other = g2s::simt::place_in_warp() ^ static_cast<unsigned>(bits);
  return g2s::simt::exchange(mask, value, other <= g2s::simt::last_of(width), other, at);
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, G2S_HERE) {
  const unsigned own = g2s::simt::place_in_warp();
  return g2s::simt::exchange(mask, value, own >= g2s::simt::first_of(width) + delta, own - delta, at);
}
// The lanes of `mask` that the block has, where the predicate holds.
inline unsigned __ballot_sync(unsigned mask, int predicate, G2S_HERE) {
  g2s::simt::show(mask, predicate, at);
  unsigned votes = 0;
  for (unsigned i = 0; i < g2s::simt::lanes_in_warp(); ++i)
    if ((mask >> i & 1u) && g2s::simt::read_shown<int>(mask, i, at)) votes |= 1u << i;
  return votes;
}

// Blocks run on several host threads: atomics are those of the host.
template <class T>
__forceinline__ T atomicAdd(T* p, T v) {
  return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}
namespace g2s::simt {
// Replaces the value while `better` says so; gives what was there.
template <class T, class Better>
__forceinline__ T atomic_replace(T* p, T v, Better better) {
  T old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (better(v, old) && !__atomic_compare_exchange_n(p, &old, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
}  // namespace g2s::simt

__forceinline__ unsigned long long atomicMin(unsigned long long* p, unsigned long long v) { return g2s::simt::atomic_replace(p, v, std::less<>{}); }
__forceinline__ unsigned atomicMin(unsigned* p, unsigned v) { return g2s::simt::atomic_replace(p, v, std::less<>{}); }

inline unsigned __float_as_uint(float v) { return std::bit_cast<unsigned>(v); }
inline float __uint_as_float(unsigned u) { return std::bit_cast<float>(u); }
inline long long __double_as_longlong(double v) { return std::bit_cast<long long>(v); }
inline double __longlong_as_double(long long u) { return std::bit_cast<double>(u); }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(std::uint64_t{a} * b >> 32); }
// Without contraction into a fused multiply-add, whatever the compiler's settings: it does not look through these calls' volatile.
inline float __fmul_rn(float a, float b) {
  volatile float r = a * b;
  return r;
}
inline float __fadd_rn(float a, float b) {
  volatile float r = a + b;
  return r;
}
inline double __dmul_rn(double a, double b) {
  volatile double r = a * b;
  return r;
}
