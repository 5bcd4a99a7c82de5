// Instructions that have no name in CUDA C++: one function each, with what the emulator does instead beside it. They exist from sm_80 on; on
// older devices they stop the kernel, and whoever launches one asks tensor_cores() first and takes a kernel without them (gemm::launch).
//
// Names in comments are those of the PTX manual: group = lane / 4 and in_group = lane % 4 of a warp.
#pragma once

#include "engine/cuda/launch.cuh"

#if defined(G2S_EMULATE)
#include <bit>
#define G2S_PTX_AT , std::source_location at = std::source_location::current()
#else
#define G2S_PTX_AT
#endif

namespace g2s::cuda {

// Whether the device has them.
bool tensor_cores();

#if defined(G2S_EMULATE)
namespace emulated {

constexpr unsigned whole_warp = 0xffffffffu;

inline unsigned lane_of_warp() { return simt::lane().number % simt::warp_size; }

inline unsigned to_bf16(float v) {  // to nearest, ties to even
  const unsigned bits = std::bit_cast<unsigned>(v);
  return (bits & 0x7fffffffu) > 0x7f800000u ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

// What element i of a register is worth: two bf16, or one tf32, of which the unit does not look at the last 13 bits.
struct Bf16 {
  static constexpr int per_register = 2;
  static double value(unsigned r, int i) { return std::bit_cast<float>(i == 0 ? r << 16 : r & 0xffff0000u); }
};
struct Tf32 {
  static constexpr int per_register = 1;
  static double value(unsigned r, int) { return std::bit_cast<float>(r & 0xffffe000u); }
};

// What a lane shows. a: rows group and group + 8, then the same in the second half of k. b: column group, in both halves of k. A register
// holds the elements in_group * per_register + .. of its half.
struct Fragments {
  unsigned a[4], b[2];
};

// d of a lane is rows group and group + 8, columns in_group * 2 and the next. The sum is exact and rounded once; a device adds in an order of
// its own and may cut bits off.
template <class Kind>
inline void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const std::source_location& at) {
  Fragments own;
  std::memcpy(own.a, a, sizeof own.a);
  std::memcpy(own.b, b, sizeof own.b);
  simt::show(whole_warp, own, at);
  const unsigned group = lane_of_warp() / 4, in_group = lane_of_warp() % 4;
  double sum[4] = {d[0], d[1], d[2], d[3]};
  for (unsigned t = 0; t < 4; ++t) {  // the lanes that hold these k
    const auto left = simt::read_shown<Fragments>(whole_warp, group * 4 + t, at);
    for (unsigned column = 0; column < 2; ++column) {
      const auto right = simt::read_shown<Fragments>(whole_warp, (in_group * 2 + column) * 4 + t, at);
      for (unsigned half = 0; half < 2; ++half)
        for (int e = 0; e < Kind::per_register; ++e) {
          const double w = Kind::value(right.b[half], e);
          sum[column] += Kind::value(left.a[half * 2], e) * w;
          sum[2 + column] += Kind::value(left.a[half * 2 + 1], e) * w;
        }
    }
  }
  for (int i = 0; i < 4; ++i) d[i] = static_cast<float>(sum[i]);
}

// A row of a matrix as a lane shows it: eight elements of 16 bits.
struct Row {
  std::uint16_t v[8];
};

template <int count, bool transposed>
__forceinline__ void ldmatrix(unsigned (&to)[count], const void* row, const std::source_location& at) {
  Row own{};
  if (lane_of_warp() < 8u * count) {  // the others' addresses are not looked at
    const auto* from = static_cast<const unsigned char*>(row);
    if (from < simt::environment.shared || from + sizeof own > simt::environment.shared + simt::environment.shared_bytes)
      simt::refuse("ldmatrix reads elsewhere than from shared memory", at);
    if (reinterpret_cast<std::uintptr_t>(row) % sizeof own != 0) simt::refuse("a row of ldmatrix is not aligned to 16 bytes", at);
#if defined(G2S_COUNT_MEMORY)
    simt::read_vector(&own, row, sizeof own);
#else
    std::memcpy(&own, row, sizeof own);
#endif
  }
  simt::show(whole_warp, own, at);
  const unsigned group = lane_of_warp() / 4, in_group = lane_of_warp() % 4;
  for (unsigned i = 0; i < count; ++i) {
    unsigned pair[2];
    for (unsigned e = 0; e < 2; ++e) {
      const unsigned along = in_group * 2 + e;
      pair[e] = transposed ? simt::read_shown<Row>(whole_warp, i * 8 + along, at).v[group]
                           : simt::read_shown<Row>(whole_warp, i * 8 + group, at).v[along];
    }
    to[i] = pair[0] | pair[1] << 16;
  }
}

}  // namespace emulated
#endif

// d[16, 8] += a[16, 16] b[16, 8], factors bf16, sums f32. The fragments of a lane:
//   a[0], a[1]: rows group and group + 8, k = in_group * 2 and the next (in the lower and the upper half of the register); a[2], a[3]: k + 8
//   b[0]: column group, k = in_group * 2 and the next; b[1]: k + 8
//   d[0], d[1]: row group, columns in_group * 2 and the next; d[2], d[3]: row group + 8
__device__ __forceinline__ void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2] G2S_PTX_AT) {
#if defined(G2S_EMULATE)
  emulated::mma<emulated::Bf16>(d, a, b, at);
#elif __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

// d[16, 8] += a[16, 8] b[8, 8], factors tf32, sums f32:
//   a[0], a[1]: rows group and group + 8, k = in_group; a[2], a[3]: k + 4
//   b[0]: column group, k = in_group; b[1]: k + 4
//   d: as above
__device__ __forceinline__ void mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2] G2S_PTX_AT) {
#if defined(G2S_EMULATE)
  emulated::mma<emulated::Tf32>(d, a, b, at);
#elif __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

// 8 x 8 matrices of 16-bit elements out of shared memory. Lane 8 i + r says where row r of matrix i is: 16 bytes, aligned. A lane gets of each
// matrix the elements in_group * 2 and the next of row group; transposed: of column group. Elements of 32 bits pass as rows of four.
template <int count>
__device__ __forceinline__ void ldmatrix(unsigned (&to)[count], const void* row G2S_PTX_AT) {
  static_assert(count == 1 || count == 2 || count == 4);
#if defined(G2S_EMULATE)
  emulated::ldmatrix<count, false>(to, row, at);
#elif __CUDA_ARCH__ >= 800
  const auto from = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (count == 1)
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(to[0]) : "r"(from) : "memory");
  else if constexpr (count == 2)
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(to[0]), "=r"(to[1]) : "r"(from) : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
#else
  __trap();
#endif
}

template <int count>
__device__ __forceinline__ void ldmatrix_transposed(unsigned (&to)[count], const void* row G2S_PTX_AT) {
  static_assert(count == 1 || count == 2 || count == 4);
#if defined(G2S_EMULATE)
  emulated::ldmatrix<count, true>(to, row, at);
#elif __CUDA_ARCH__ >= 800
  const auto from = static_cast<unsigned>(__cvta_generic_to_shared(row));
  if constexpr (count == 1)
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(to[0]) : "r"(from) : "memory");
  else if constexpr (count == 2)
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];" : "=r"(to[0]), "=r"(to[1]) : "r"(from) : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(from)
                 : "memory");
#else
  __trap();
#endif
}

// Begins to copy `bytes` bytes from global to shared memory, both aligned to that; or writes zeros if `wanted` is false, and then `from` is not
// read, but must be an address.
template <int bytes>
__device__ __forceinline__ void copy_async(void* to, const void* from, bool wanted G2S_PTX_AT) {
  static_assert(bytes == 4 || bytes == 8 || bytes == 16);
#if defined(G2S_EMULATE)
  simt::begin_copy(to, from, bytes, wanted ? bytes : 0, at);
#elif __CUDA_ARCH__ >= 800
  const auto target = static_cast<unsigned>(__cvta_generic_to_shared(to));
  const int taken = wanted ? bytes : 0;
  if constexpr (bytes == 16)  // past the first-level cache, which can do no less than all
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(from), "r"(taken) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(target), "l"(from), "n"(bytes), "r"(taken) : "memory");
#else
  __trap();
#endif
}

// The copies that this thread has begun since the last commit become a group.
__device__ __forceinline__ void commit_copies() {
#if defined(G2S_EMULATE)
  simt::commit_copies();
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#else
  __trap();
#endif
}

// Until all of this thread's groups but the last `most` have arrived. Others see them after a barrier.
template <int most>
__device__ __forceinline__ void wait_for_copies() {
#if defined(G2S_EMULATE)
  simt::wait_for_copies(most);
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(most) : "memory");
#else
  __trap();
#endif
}

// v with 11 bits, to the nearest, ties away from zero; as f32 it has the same value.
__device__ __forceinline__ unsigned round_to_tf32(float v) {
#if defined(G2S_EMULATE)
  const unsigned bits = std::bit_cast<unsigned>(v);
  return ((bits & 0x7f800000u) == 0x7f800000u ? bits : bits + 0x1000u) & 0xffffe000u;
#elif __CUDA_ARCH__ >= 800
  unsigned bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(v));
  return bits;
#else
  __trap();
  return 0;
#endif
}

// Two numbers as bf16, to the nearest, ties to even; `first` in the lower half.
__device__ __forceinline__ unsigned round_to_bf16(float first, float second) {
#if defined(G2S_EMULATE)
  return emulated::to_bf16(first) | emulated::to_bf16(second) << 16;
#elif __CUDA_ARCH__ >= 800
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
#else
  __trap();
  return 0;
#endif
}

}  // namespace g2s::cuda

#undef G2S_PTX_AT
