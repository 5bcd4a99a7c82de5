#include "engine/shown.h"

#include <doctest/doctest.h>

using namespace g2s;

TEST_CASE("shown: any bytes are one line of UTF-8, and names that differ stay different") {
  CHECK(shown("caf\xc3\xa9 \"a\" \\b.png") == "caf\xc3\xa9 \"a\" \\b.png");
  CHECK(shown("caf\xe9.png") == "caf\\xe9.png");
  CHECK(shown("a\nb\tc\r\x1b[2J\x7f") == "a\\nb\\tc\\x0d\\x1b[2J\\x7f");
  CHECK(shown("\xc2\x9b") == "\\xc2\\x9b");                                  // a control character of two bytes
  CHECK(shown("\xf0\x9f\x98\x80\xf0\x9f") == "\xf0\x9f\x98\x80\\xf0\\x9f");  // cut in the middle
  CHECK(shown("\xed\xa0\x80\xc0\x80") == "\\xed\\xa0\\x80\\xc0\\x80");       // a surrogate, an overlong form
  CHECK(shown("").empty());
}
