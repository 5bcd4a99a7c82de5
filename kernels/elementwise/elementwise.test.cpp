#include "kernels/elementwise/elementwise.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/support/cases.h"

using namespace g2s;
using g2s::test::Case;

TEST_CASE("elementwise: the table of cases") {
  static const std::map<std::string, Tensor (*)(const Tensor&)> plain = {
      {"abs", abs},   {"sign", sign}, {"square", square}, {"sqrt", sqrt}, {"rsqrt", rsqrt},     {"exp", exp},           {"log", log},
      {"sin", sin},   {"cos", cos},   {"tanh", tanh},     {"relu", relu}, {"sigmoid", sigmoid}, {"softplus", softplus}};
  static const std::map<std::string, Tensor (*)(const Tensor&, const Tensor&)> pairs = {{"add", add}, {"sub", sub}, {"mul", mul}, {"div", div}};
  test::run_cases("elementwise", [](const Case& c, const std::vector<Tensor>& in) {
    if (auto op = plain.find(c.op); op != plain.end()) return op->second(in[0]);
    if (auto op = pairs.find(c.op); op != pairs.end()) return op->second(in[0], in[1]);
    if (c.op == "affine") return affine(in[0], c.number("scale"), c.number("offset"));
    if (c.op == "leaky_relu") return leaky_relu(in[0], c.number("slope"));
    if (c.op == "clamp") return clamp(in[0], c.number("lo"), c.number("hi"));
    if (c.op == "less") return less(in[0], c.number("bound"));
    if (c.op == "greater_equal") return greater_equal(in[0], c.number("bound"));
    fail(Errc::invalid_argument, c.name, "no such operator");
  });
}
