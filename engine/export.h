// What belongs to the library's C++ interface: a header that is installed opens its namespace as `namespace g2s G2S_EXPORTED {`. All else is
// compiled with hidden visibility, and nobody outside the library can see it.
#pragma once

#define G2S_EXPORTED __attribute__((visibility("default")))
