// The pictures that a command line names.
#pragma once

#include <string>
#include <vector>

namespace g2s::app {

struct Picture {
  std::string path;
  std::string name;  // that its results go by, another for each
};

// Each of those named once, in this order. A folder stands for the pictures in it, sorted by name: what is said to be one by its first bytes or
// its ending, but no hidden files and no true depths (X_depth.png beside X.png). A folder without one stays itself, and cannot be read.
//
// A picture goes by its stem. Where several have one, they go by stem and ending (same_png, same_jpg), else by their folder too (a_same_png,
// b_same_png), else by a number too.
std::vector<Picture> list_pictures(const std::vector<std::string>& named);

// Throws Error(io) unless there is a file.
void require_picture(const std::string& path);

}  // namespace g2s::app
