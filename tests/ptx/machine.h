// Runs a kernel of a PTX module on the host's memory: each block by itself, its threads one after the other up to where they have to meet.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "tests/ptx/module.h"

namespace g2s::ptx {

struct Grid {
  std::array<unsigned, 3> blocks, threads;
  std::size_t shared_bytes = 0;  // dynamic
};

// arguments: where each parameter's bytes are. Throws Error naming kernel and line of what it cannot do.
void run(const Module& module, const Function& kernel, const Grid& grid, const std::vector<const void*>& arguments);

// Instructions executed so far, for tests.
std::int64_t executed();

}  // namespace g2s::ptx
