// How long a device works.
#pragma once

#include <functional>

namespace g2s::cuda {

// Milliseconds between two events around what `work` launches on this thread's stream. Waits for the device. For measurements alone: nothing
// that a user runs depends on it.
__attribute__((weak)) double milliseconds_of(const std::function<void()>& work);

}  // namespace g2s::cuda
