// The library names settings, the user knows options: the setting memory_limit is the option --memory-limit.
#pragma once

#include <string>

#include "engine/error.h"

namespace g2s::app {

// `memory_limit` in a text becomes --memory-limit.
std::string with_options(const std::string& text);

// What an error says, in the user's words: a setting that is at fault is named as its option.
std::string message_of(const Error& error);

}  // namespace g2s::app
