// Many reconstructions through the C interface.
#include <doctest/doctest.h>

#include "tests/support/c_fit.h"
#include "tests/support/left_behind.h"

using namespace g2s::test;

TEST_CASE("C fit: a hundred cancelled ones leave nothing behind") {
  FitContext c;
  const g2s_fit keeper = new_fit(c);  // so that the weights stay
  c.watcher.then = [&](int) { return g2s_context_cancel(c.context) != G2S_OK; };
  const auto cancelled_fit = [&] {
    const g2s_fit fit = new_fit(c);
    CHECK(g2s_fit_step(fit, -1, nullptr) == G2S_CANCELLED);
    REQUIRE_OK(g2s_context_resume(c.context));
    REQUIRE_OK(g2s_fit_free(fit));
  };
  for (int i = 0; i < 3; ++i) cancelled_fit();
  const Left before;
  for (int i = 0; i < 100; ++i) cancelled_fit();
  check_nothing_more(before);
  REQUIRE_OK(g2s_fit_free(keeper));
}
