// Apple's variant of PNG, which its tools make of the pictures in an app.
#pragma once

#include <string>
#include <string_view>

#include "engine/image.h"

namespace g2s {

bool is_apple_png(std::string_view png);
// The same as an ordinary file, but for the order of the colours. Throws naming `path`.
std::string ordinary_png(const std::string& path, std::string_view png);
// Apple's colours are blue, green, red, and multiplied by their opacity.
void mend_apple_colours(Tensor& pixels);

}  // namespace g2s
