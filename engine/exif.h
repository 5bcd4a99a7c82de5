// The orientation that a camera wrote into an image.
#pragma once

#include <string_view>

namespace g2s {

// 1 to 8 from the EXIF data of a JPEG or PNG file's content; 1 where there is none.
int exif_orientation(std::string_view file);
// The same of the block itself, with or without the "Exif" before it.
int exif_orientation_of_block(std::string_view block);

}  // namespace g2s
