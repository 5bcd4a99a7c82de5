// Which kernels this thread's context has launched on a CUDA device, and how often. For tests and profiles.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace g2s::cuda {

__attribute__((weak)) std::map<std::string, std::int64_t> launches();
__attribute__((weak)) void forget_launches();

}  // namespace g2s::cuda
