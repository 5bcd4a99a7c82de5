// TFLite's operators: their names, and what their options are called.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "weights_converter/flatbuffer.h"

namespace g2s::convert {

// DEPTHWISE_CONV_2D; BUILTIN_200 where the number is not known.
std::string tflite_operator_name(std::int32_t code);

// {"padding": "same", "stride": [2, 2], ...}: pairs are rows, columns; {} where the operator brings none. `known` becomes false where the operator has options that are not
// known here. Throws naming the file if they are another operator's.
nlohmann::ordered_json tflite_options(FlatBuffer& buffer, std::int32_t code, const FlatTable& op, bool& known);

}  // namespace g2s::convert
