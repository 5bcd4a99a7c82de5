#include "kernels/shape/shape.h"

#include <doctest/doctest.h>

#include "tests/support/cases.h"

using namespace g2s;
using g2s::test::Case;

TEST_CASE("shape: the table of cases") {
  test::run_cases("shape", [](const Case& c, const std::vector<Tensor>& in) {
    if (c.op == "permute") {
      std::vector<int> order;
      for (std::int64_t axis : c.integers("order")) order.push_back(static_cast<int>(axis));
      return permute(in[0], order);
    }
    int axis = static_cast<int>(c.integer("axis"));
    if (c.op == "slice") return slice(in[0], axis, c.integer("begin"), c.integer("end"));
    if (c.op == "concat") return concat(in, axis);
    if (c.op == "pad") return pad(in[0], axis, c.integer("before"), c.integer("after"), c.number("value"));
    if (c.op == "flip") return flip(in[0], axis);
    fail(Errc::invalid_argument, c.name, "no such operator");
  });
}
