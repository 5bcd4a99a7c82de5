// Text out of files that nobody vouches for.
#pragma once

#include <string>
#include <string_view>

#include "engine/export.h"
#include "weights_converter/bytes.h"

namespace g2s { namespace convert G2S_EXPORTED {

// For an error message: control and non-ASCII characters replaced, cut to a length that fits a sentence.
std::string printable(std::string_view text, std::size_t longest = 100);

// Whether it is UTF-8 (as Python checks it: no overlong forms, no surrogates).
bool is_utf8(std::string_view text);

// Each byte as the character of its number.
std::string latin1_to_utf8(std::string_view bytes);

// The bytes that a text of characters below U+0100 stands for; decoded when they are loaded. Throws naming the file if it has others.
Bytes decode_latin1(const std::string& path, const Bytes& text);

}}  // namespace g2s::convert
