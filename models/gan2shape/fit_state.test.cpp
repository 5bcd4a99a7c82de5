#include "models/gan2shape/fit_state.h"

#include <doctest/doctest.h>

#include "tests/cli/program.h"
#include "tests/support/check.h"
#include "tests/support/small_world.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// A state with two batches of samples.
FitState state_of(const Config& c, bool directions) {
  FitState state(c, 0);
  state.phase = Phase::step3;
  state.target.latent = Random(1, "latent").normal({1, 512});
  if (directions) {
    Random random(2, "base");
    Target& t = state.target;
    for (Tensor* picture : {&t.base, &t.canonical_mask, &t.canonical_object}) *picture = random.normal({1, c.size, c.size, 1});
    for (Tensor* rotations : {&t.rotations, &t.drawn_rotations}) *rotations = random.normal({1, 2});
    t.turn = random.normal({2, 2});
  }
  Random random(3, "samples");
  for (int i = 0; i < 2; ++i) {
    state.samples.images.push_back(random.uniform({2, c.size, c.size, 3}));
    state.samples.masks.push_back(random.uniform({2, c.size, c.size, 1}));
    if (directions) state.samples.rotations.push_back(random.normal({2, 2}));
  }
  state.samples.order = {1, 0, 2, 3};
  state.samples.index = 3;
  return state;
}

void check_samples(const std::vector<Tensor>& got, const std::vector<Tensor>& want) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], want[i]));
}

}  // namespace

TEST_CASE("a saved state of a fit with directions keeps its base and the rotations of its samples, another has neither") {
  const TemporaryFolder folder;
  const Config c = small_config();
  for (bool directions : {true, false}) {
    INFO(directions);
    const FitState saved = state_of(c, directions);
    save_state(folder / "state", saved, nullptr, {});
    FitState restored = state_of(c, !directions);
    SavedState(folder / "state").restore(restored);
    CHECK(restored.phase == Phase::step3);
    CHECK(same_bits(restored.target.latent, saved.target.latent));
    CHECK(restored.target.base.defined() == directions);
    for (Tensor Target::*kept : {&Target::base, &Target::canonical_mask, &Target::canonical_object, &Target::turn})
      CHECK(same_bits(restored.target.*kept, saved.target.*kept));
    for (Tensor Target::*kept : {&Target::rotations, &Target::drawn_rotations})
      if (directions) CHECK(same_bits(restored.target.*kept, saved.target.*kept));
    check_samples(restored.samples.images, saved.samples.images);
    check_samples(restored.samples.masks, saved.samples.masks);
    CHECK(restored.samples.rotations.size() == (directions ? 2 : 0));
    check_samples(restored.samples.rotations, saved.samples.rotations);
    CHECK(restored.samples.order == saved.samples.order);
    CHECK(restored.samples.index == 3);
  }
}
