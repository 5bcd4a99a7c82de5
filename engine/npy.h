// NumPy's .npy files: f4, f8, i4 and u1 in C order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

struct NpyHeader {
  std::string type;  // as written, a Python literal: '<f4'
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
  std::size_t data_begin = 0;  // where the numbers begin in the file
};

// The header of a file's content; throws Error(format) naming `path`. Says nothing about whether the numbers are there.
NpyHeader parse_npy_header(const std::string& path, std::string_view content);

// Throws Error(io) or Error(format) naming the file. Little- and big-endian numbers are read; Fortran order and other types are refused.
Tensor read_npy(const std::string& path);
void write_npy(const std::string& path, const Tensor& tensor);  // replaces a file only when the new one is complete

}  // namespace g2s
