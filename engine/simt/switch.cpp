#include "engine/simt/switch.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(G2S_WATCH_RACES)
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

#if defined(__x86_64__)
// Saves what a call must preserve on the old stack, and takes it from the new one.
extern "C" void g2s_simt_switch(void** save, void* to);
asm(R"(
.text
.globl g2s_simt_switch
.type g2s_simt_switch,@function
g2s_simt_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size g2s_simt_switch, .-g2s_simt_switch
)");
#endif

namespace g2s::simt {
namespace {

thread_local FiberContext* left = nullptr;     // the context that was switched from last
thread_local FiberContext* entered = nullptr;  // and the one that was switched to

void arrived(FiberContext& context) {
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(context.fake_stack, &bottom, &size);
  if (left && !left->stack) {  // the host thread's stack is known only now
    left->stack = const_cast<void*>(bottom);
    left->stack_bytes = size;
  }
#else
  (void)context;
#endif
}

}  // namespace

#if defined(__x86_64__)

namespace {
// The first return address on a new stack.
[[noreturn]] void begin() {
  FiberContext& own = *entered;
  arrived(own);
  own.entry(own.argument);
  std::abort();
}
}  // namespace

void prepare(FiberContext& context, std::size_t stack_bytes, void (*entry)(void*), void* argument) {
  context.entry = entry;
  context.argument = argument;
  if (!context.stack) {
    void* stack = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack == MAP_FAILED) throw std::bad_alloc();
    context.stack = stack;
    context.stack_bytes = stack_bytes;
  }
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(context.stack, context.stack_bytes);
#endif
#if defined(G2S_WATCH_RACES)
  if (context.race_context) __tsan_destroy_fiber(context.race_context);
  context.race_context = __tsan_create_fiber(0);
#endif
  context.fake_stack = nullptr;
  auto* top = reinterpret_cast<void**>(static_cast<char*>(context.stack) + context.stack_bytes);
  *--top = nullptr;  // where begin() would return to; keeps the stack aligned as after a call
  *--top = reinterpret_cast<void*>(begin);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  context.stack_pointer = top;
}

void switch_to(FiberContext& from, FiberContext& to) {
  left = &from;
  entered = &to;
#if defined(G2S_WATCH_RACES)
  if (!from.race_context) from.race_context = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(to.race_context, 1);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack, to.stack_bytes);
#endif
  g2s_simt_switch(&from.stack_pointer, to.stack_pointer);
  arrived(from);
}

void destroy(FiberContext& context) {
#if defined(G2S_WATCH_RACES)
  if (context.stack && context.race_context) __tsan_destroy_fiber(context.race_context);
#endif
#if defined(__SANITIZE_ADDRESS__)
  if (context.stack) __asan_unpoison_memory_region(context.stack, context.stack_bytes);  // others may get these addresses
#endif
  if (context.stack) munmap(context.stack, context.stack_bytes);
  context = {};
}

#else

// Without an own switch: the C library's, ten times slower.
namespace {
void begin(unsigned entry_high, unsigned entry_low, unsigned argument_high, unsigned argument_low) {
  auto join = [](unsigned high, unsigned low) { return static_cast<std::uintptr_t>(std::uint64_t{high} << 32 | low); };
  reinterpret_cast<void (*)(void*)>(join(entry_high, entry_low))(reinterpret_cast<void*>(join(argument_high, argument_low)));
  std::abort();
}
}  // namespace

void prepare(FiberContext& context, std::size_t stack_bytes, void (*entry)(void*), void* argument) {
  if (!context.stack) {
    context.stack = std::malloc(stack_bytes);
    if (!context.stack) throw std::bad_alloc();
    context.stack_bytes = stack_bytes;
    context.stack_pointer = new ucontext_t;
  }
  auto* c = static_cast<ucontext_t*>(context.stack_pointer);
  getcontext(c);
  c->uc_stack.ss_sp = context.stack;
  c->uc_stack.ss_size = context.stack_bytes;
  c->uc_link = nullptr;
  auto high = [](std::uintptr_t p) { return static_cast<unsigned>(std::uint64_t{p} >> 32); };
  auto low = [](std::uintptr_t p) { return static_cast<unsigned>(p); };
  const auto e = reinterpret_cast<std::uintptr_t>(entry), a = reinterpret_cast<std::uintptr_t>(argument);
  makecontext(c, reinterpret_cast<void (*)()>(begin), 4, high(e), low(e), high(a), low(a));
}

void switch_to(FiberContext& from, FiberContext& to) {
  if (!from.stack_pointer) from.stack_pointer = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(from.stack_pointer), static_cast<ucontext_t*>(to.stack_pointer));
}

void destroy(FiberContext& context) {
  delete static_cast<ucontext_t*>(context.stack_pointer);
  std::free(context.stack);
  context = {};
}

#endif

void publish(void* token) {
#if defined(G2S_WATCH_RACES)
  __tsan_release(token);
#else
  (void)token;
#endif
}

void publish_for(FiberContext& suspended, void* token) {
#if defined(G2S_WATCH_RACES)
  void* own = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(suspended.race_context, 1);
  publish(token);
  __tsan_switch_to_fiber(own, 1);
#else
  (void)suspended, (void)token;
#endif
}

void subscribe(void* token) {
#if defined(G2S_WATCH_RACES)
  __tsan_acquire(token);
#else
  (void)token;
#endif
}

}  // namespace g2s::simt
