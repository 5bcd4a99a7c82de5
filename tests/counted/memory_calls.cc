// What g++ -fsanitize=thread calls before each access, when this is linked instead of ThreadSanitizer. See memory_counts.h.
#include <cstring>

#include "engine/simt/hooks.h"

using g2s::simt::Access, g2s::simt::count_access;

#define PLACE __builtin_return_address(0)

namespace g2s::simt {

void read_vector(void* to, const void* from, std::size_t bytes) {
  count_access(from, bytes, Access::read, PLACE);
  std::memcpy(to, from, bytes);
}

void write_vector(void* to, const void* from, std::size_t bytes) {
  count_access(to, bytes, Access::write, PLACE);
  std::memcpy(to, from, bytes);
}

}  // namespace g2s::simt

#pragma GCC diagnostic ignored "-Wbuiltin-declaration-mismatch"

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

#define ACCESSES(bytes)                                                                              \
  void __tsan_read##bytes(void* p) { count_access(p, bytes, Access::read, PLACE); }                  \
  void __tsan_write##bytes(void* p) { count_access(p, bytes, Access::write, PLACE); }                \
  void __tsan_unaligned_read##bytes(void* p) { count_access(p, bytes, Access::read, PLACE); }        \
  void __tsan_unaligned_write##bytes(void* p) { count_access(p, bytes, Access::write, PLACE); }
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(void* p, unsigned long bytes) { count_access(p, bytes, Access::read, PLACE); }
void __tsan_write_range(void* p, unsigned long bytes) { count_access(p, bytes, Access::write, PLACE); }

// A kernel's atomic operation is one call, or a load and then attempts to exchange (atomic_replace in simt.h), of which the load counts.
#define ATOMICS(bits, T)                                                                                                             \
  T __tsan_atomic##bits##_load(const volatile T* p, int) {                                                                           \
    count_access(const_cast<const T*>(p), sizeof(T), Access::atomic, PLACE);                                                         \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                                                     \
  }                                                                                                                                  \
  void __tsan_atomic##bits##_store(volatile T* p, T v, int) {                                                                        \
    count_access(const_cast<const T*>(p), sizeof(T), Access::write, PLACE);                                                          \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                                                        \
  }                                                                                                                                  \
  T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) {                                                                        \
    count_access(const_cast<const T*>(p), sizeof(T), Access::atomic, PLACE);                                                         \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                                                              \
  }                                                                                                                                  \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* old, T v, int, int) {                                          \
    return __atomic_compare_exchange_n(p, old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                                        \
  }                                                                                                                                  \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* old, T v, int, int) {                                            \
    return __atomic_compare_exchange_n(p, old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                                        \
  }                                                                                                                                  \
  FETCH(bits, T, add) FETCH(bits, T, sub) FETCH(bits, T, and) FETCH(bits, T, or) FETCH(bits, T, xor)
#define FETCH(bits, T, what)                                                                                                         \
  T __tsan_atomic##bits##_fetch_##what(volatile T* p, T v, int) {                                                                    \
    count_access(const_cast<const T*>(p), sizeof(T), Access::atomic, PLACE);                                                         \
    return __atomic_fetch_##what(p, v, __ATOMIC_SEQ_CST);                                                                            \
  }
ATOMICS(8, unsigned char)
ATOMICS(16, unsigned short)
ATOMICS(32, unsigned)
ATOMICS(64, unsigned long)

void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }

}  // extern "C"
