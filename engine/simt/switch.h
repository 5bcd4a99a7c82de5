// Fibers: several stacks on one host thread, and what the sanitizers must be told of them.
#pragma once

#include <cstddef>

namespace g2s::simt {

// A stack with code in the middle of running on it.
struct FiberContext {
  void* stack_pointer = nullptr;
  void* stack = nullptr;  // its lowest address; null for the host thread's own
  std::size_t stack_bytes = 0;
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;
  void* fake_stack = nullptr;    // AddressSanitizer's
  void* race_context = nullptr;  // ThreadSanitizer's
};

// `entry(argument)` will run on a new stack when it is first switched to; it must never return.
void prepare(FiberContext& context, std::size_t stack_bytes, void (*entry)(void*), void* argument);
void destroy(FiberContext& context);
void switch_to(FiberContext& from, FiberContext& to);

// What happens on one fiber before `publish` is seen by one that calls `subscribe` later: for ThreadSanitizer, which takes fibers for
// threads. Switching alone orders nothing, or no race between lanes would ever be found.
void publish(void* token);
void subscribe(void* token);
// As if the suspended fiber had called publish().
void publish_for(FiberContext& suspended, void* token);

// The emulator itself is compiled without ThreadSanitizer, which would watch its scheduling too (cmake/G2sCuda.cmake).
#if defined(G2S_WATCH_RACES)
constexpr bool races_are_watched = true;
#else
constexpr bool races_are_watched = false;
#endif

}  // namespace g2s::simt
