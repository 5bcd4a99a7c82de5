// NumPy's .npy files: f4, f8, i4 and u1 in C order.
#pragma once

#include <string>

#include "engine/tensor.h"

namespace g2s {

// Throws Error(io) or Error(format) naming the file. Little- and big-endian numbers are read; Fortran order and other types are refused.
Tensor read_npy(const std::string& path);
void write_npy(const std::string& path, const Tensor& tensor);  // replaces a file only when the new one is complete

}  // namespace g2s
