// Names and messages as they are shown: any bytes may be in a file's name.
#pragma once

#include <string>
#include <string_view>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

// How many bytes the character of UTF-8 that begins a text has; 0 if none begins there. As Python checks it: no overlong forms, no
// surrogates.
std::size_t utf8_length(std::string_view text);

// One line of UTF-8: control characters and bytes that belong to no character as \n, \t or \xNN.
std::string shown(std::string_view text);

}  // namespace G2S_EXPORTED
