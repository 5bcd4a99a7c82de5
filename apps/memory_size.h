// Sizes of memory as people write them.
#pragma once

#include <cstddef>
#include <string>

namespace g2s::app {

// 2G, 512M, 1500000K or bytes; throws naming memory_limit.
std::size_t memory_size_from(const std::string& text);

}  // namespace g2s::app
