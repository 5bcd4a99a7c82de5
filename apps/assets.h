// Where the program's own files are.
#pragma once

#include <string>

namespace g2s::app {

// The assets folder: $GAN2SHAPE_ASSETS, else share/gan2shape/assets beside an installed bin/, else the source tree that the program was built
// from. Independent of the working directory. Throws if there is none.
std::string assets_folder();
std::string asset(const std::string& name);  // throws naming the file if it is absent

}  // namespace g2s::app
