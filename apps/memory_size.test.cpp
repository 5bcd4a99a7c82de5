#include "apps/memory_size.h"

#include <doctest/doctest.h>

#include "engine/error.h"

using namespace g2s;
using namespace g2s::app;

TEST_CASE("a size of memory has a unit or none") {
  CHECK(memory_size_from("2G") == std::size_t{2} << 30);
  CHECK(memory_size_from("1.5MiB") == 3 << 19);
  CHECK(memory_size_from("4096") == 4096);
  for (const char* bad : {"", "2X", "-1G", "G", "1e40G", "nan"})
    CHECK_THROWS_WITH_AS(memory_size_from(bad), doctest::Contains("is not a size such as 2G"), Error);
}
