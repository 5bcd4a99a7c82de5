// What one lane has to do, counted by its accesses to memory.
#include <doctest/doctest.h>

#include <cstring>

#include "engine/autograd.h"
#include "kernels/grid_sample/grid_sample.h"
#include "tests/counted/memory_counts.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// The most that a lane has come to one instruction of a kernel.
std::int64_t most_of(const char* launch) {
  std::int64_t most = 0;
  for (const simt::MemorySite& s : simt::memory_sites())
    if (std::strcmp(s.launch, launch) == 0 && s.counts.most > most) most = s.counts.most;
  return most;
}

}  // namespace

TEST_CASE("counted: a grid that is folded into one cell leaves no lane with all of it") {
  const Device device{DeviceType::cuda, 0};
  constexpr std::int64_t side = 160, positions = side * side, run = 256, part = 4096;  // as the kernels have them
  Tensor x = hashed_input("x", {1, 4, 4, 1}).to(device).set_requires_grad();
  const Tensor grid = hashed_input("grid", {1, side, side, 2}, DType::f32, 0.1, 0.15).to(device), y = grid_sample(x, grid);
  simt::forget_memory_counts();
  grad({y}, {x}, {hashed_input("dy", y.shape()).to(device)});
  CHECK(most_of("grid_sample_count") == run);
  CHECK(most_of("grid_sample_start") <= run);
  CHECK(most_of("grid_sample_runs") == 1);
  CHECK(most_of("grid_sample_list") == positions / run);
  CHECK(most_of("grid_sample_parts") == part);
  CHECK(most_of("grid_sample_gather") <= positions / part + 1);
}
