#include "kernels/resample/resample.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

ResampleAxis axis_of(const nlohmann::json& j) {
  const auto start = j.at("start").get<std::vector<std::int64_t>>(), count = j.at("count").get<std::vector<std::int64_t>>();
  ResampleAxisBuilder builder(j.at("in").get<std::int64_t>(), static_cast<std::int64_t>(start.size()));
  for (std::size_t o = 0; o < start.size(); ++o)
    for (std::int64_t k = 0; k < count[o]; ++k) {
      const auto i = static_cast<std::int64_t>(o);
      builder.add(i, start[o] + k, static_cast<double>((7 * i + 3 * k) % 11 - 5) / 8 + 0.0625);
    }
  return builder.finish();
}

}  // namespace

TEST_CASE("resample") {
  run_cases("resample", [](const Case& c, const std::vector<Tensor>& in) {
    return resample(in[0], "resample", std::make_shared<const ResampleAxes>(ResampleAxes{axis_of(c.at("rows")), axis_of(c.at("cols"))}));
  });
}

TEST_CASE("resample axes: zero weights at the ends are dropped, and transposing twice gives the axis back") {
  ResampleAxisBuilder builder(5, 3);
  builder.add(0, 0, 0);
  builder.add(0, 1, 2);
  builder.add(0, 3, 4);
  builder.add(0, 4, 0);
  builder.add(2, 4, 1);
  const ResampleAxis axis = builder.finish();
  CHECK(axis.start == std::vector<std::int32_t>{1, 0, 4});
  CHECK(axis.count == std::vector<std::int32_t>{3, 0, 1});
  CHECK(axis.taps == 3);
  CHECK(axis.weight == std::vector<double>{2, 0, 4, 0, 0, 0, 1, 0, 0});
  const ResampleAxis back = transposed(transposed(axis));
  CHECK(back.in == axis.in);
  CHECK(back.start == axis.start);
  CHECK(back.count == axis.count);
  CHECK(back.weight == axis.weight);
}

TEST_CASE("resample names its caller when the sizes do not fit") {
  ResampleAxisBuilder rows(4, 1), cols(5, 1);
  auto axes = std::make_shared<const ResampleAxes>(ResampleAxes{rows.finish(), cols.finish()});
  CHECK_THROWS_WITH_AS(resample(Tensor::zeros({1, 4, 4, 3}), "blur", axes), "blur: x must be [B,4,5,C], got f32 [1,4,4,3]", Error);
}
