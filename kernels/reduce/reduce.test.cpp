#include "kernels/reduce/reduce.h"

#include <doctest/doctest.h>

#include "tests/support/cases.h"

using namespace g2s;
using g2s::test::Case;

TEST_CASE("reduce: the table of cases") {
  test::run_cases("reduce", [](const Case& c, const std::vector<Tensor>& in) {
    if (c.op == "sum_all") return sum(in[0]);
    if (c.op == "mean_all") return mean(in[0]);
    if (c.op == "sum" || c.op == "mean") {
      std::vector<int> axes;
      for (std::int64_t axis : c.integers("axes")) axes.push_back(static_cast<int>(axis));
      bool keepdim = c.boolean("keepdim", false);
      return c.op == "sum" ? sum(in[0], axes, keepdim) : mean(in[0], axes, keepdim);
    }
    Shape shape(c.integers("shape"));
    if (c.op == "sum_to") return sum_to(in[0], shape);
    if (c.op == "broadcast_to") return broadcast_to(in[0], shape);
    if (c.op == "dot_to") return dot_to(in[0], in[1], shape);
    fail(Errc::invalid_argument, c.name, "no such operator");
  });
}
