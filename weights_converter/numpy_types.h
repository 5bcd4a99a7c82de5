// numpy's names of number types.
#pragma once

#include <string>
#include <string_view>

#include "weights_converter/value.h"

namespace g2s::convert {

struct NumpyDescription {
  NumberType type = NumberType::u8;
  bool big_endian = false;
  bool objects = false;  // Python values instead of numbers
};

// "<f4", "|u1", ">i8", "f4", "|O"; throws naming the file for dates, texts and the like.
NumpyDescription parse_numpy_type(const std::string& path, std::string_view text);
// A pickled numpy.dtype: its arguments ("f4", ..) and its state (version, "<", ..).
NumpyDescription describe_numpy(const std::string& path, const Value* dtype);

}  // namespace g2s::convert
