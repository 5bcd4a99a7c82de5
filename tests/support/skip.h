// What a test could not check here, and why: listed at the end of the run, so that a green suite never hides it.
#pragma once

#include <string>

namespace g2s::test {

// Call it, then return from the test case. With G2S_SKIP_LOG=FILE in the environment the line is appended there too.
void skip(const std::string& reason);

}  // namespace g2s::test
