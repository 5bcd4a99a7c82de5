#include "engine/hashed_tensor.h"

#include <doctest/doctest.h>

using namespace g2s;

TEST_CASE("hashed numbers are the same as everywhere else") {
  CHECK(fnv1a64("") == 0xCBF29CE484222325u);
  CHECK(fnv1a64("a") == 0xAF63DC4C8601EC8Cu);
  CHECK(hashed_tensor("test", {2, 2}).to_vector<double>() ==
        std::vector<double>{-0.44791147357947647, 0.03517801297665968, -0.8140971705081637, 0.913482242730357});
  CHECK(hashed_tensor("test", {1}, DType::f32).item() == static_cast<double>(-0.44791147357947647f));
}
