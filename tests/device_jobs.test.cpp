// Several host threads that work on one device, each on a stream of its own: --jobs.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <barrier>
#include <set>
#include <thread>

#include "engine/accelerator.h"
#include "engine/allocator.h"
#include "engine/autograd.h"
#include "models/gan2shape/fit.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"
#include "tests/support/small_world.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// Enough iterations that the last ones are graphs.
Config short_config() {
  Config c = small_config();
  c.batch = 2;
  c.collect = 2;
  c.prior_iterations = 3;
  c.stages = 1;
  c.first_stage = {3, 0, 0};
  return c;
}

// The depth that comes of image number `i`.
Tensor fitted(const World& w, int i) {
  const DefaultDevice guard(test_device());
  const std::int64_t s = w.config.size;
  FitInput input;
  input.image = hashed_input(str("jobs/image ", i), {1, s, s, 3});
  input.mask = Tensor::full({1, s, s, 1}, 1, DType::f32, Device{});
  input.latent = hashed_input(str("jobs/latent ", i), {512}, DType::f32, 0.5);
  FitOptions options;
  options.seed = static_cast<std::uint64_t>(i);
  Fit fit(w.config, w.generator, &w.discriminator, w.lpips, input, options);
  return fit.run().depth.detach().to(Device{});
}

}  // namespace

TEST_CASE("jobs on the device: fits side by side give the bits of fits one after the other" * doctest::skip(no_test_device())) {
  const auto world = [] {
    const DefaultDevice guard(test_device());
    return std::make_unique<World>(short_config(), small_widths);
  }();
  std::array<Tensor, 2> alone, together;
  for (int i = 0; i < 2; ++i) alone[static_cast<std::size_t>(i)] = fitted(*world, i);
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) threads.emplace_back([&, i] { together[static_cast<std::size_t>(i)] = fitted(*world, i); });
  for (std::thread& t : threads) t.join();
  for (std::size_t i = 0; i < 2; ++i) CHECK(same_bits(alone[i], together[i]));
  CHECK(!same_bits(alone[0], alone[1]));
}

// Another thread's stream may still be reading what this one has let go of.
TEST_CASE("jobs on the device: what one thread lets go of no other is given" * doctest::skip(no_test_device())) {
  constexpr int threads = 3;
  std::array<std::set<void*>, threads> seen;
  std::barrier together(threads);
  std::vector<std::thread> all;
  for (std::size_t t = 0; t < threads; ++t)
    all.emplace_back([&, t] {
      Allocator& memory = allocator(test_device());
      for (int round = 0; round < 20; ++round) {
        together.arrive_and_wait();
        const std::size_t bytes = static_cast<std::size_t>(1 + (round * 7 + static_cast<int>(t)) % 5) << 16;
        void* block = memory.allocate(bytes);
        seen[t].insert(block);
        memory.release(block, bytes);
      }
    });
  for (std::thread& t : all) t.join();
  for (std::size_t a = 0; a < threads; ++a) {
    CHECK(!seen[a].empty());
    for (std::size_t b = a + 1; b < threads; ++b)
      for (void* block : seen[a]) CHECK(!seen[b].contains(block));
  }
}
