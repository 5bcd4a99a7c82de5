// Numbers on their way from a source to an output: gathered from strided views, turned to little-endian, scaled, converted.
#pragma once

#include <functional>
#include <string_view>

#include "weights_converter/source_tensor.h"

namespace g2s::convert {

// Strides of a contiguous tensor whose last (first) dimension lies closest; all zero if it has no elements.
Dims row_major(const Dims& shape);
Dims column_major(const Dims& shape);

// Whether numbers of one type can become those of another: bits of the same type always, real numbers from everything but complex and 8-bit
// floating-point ones.
bool can_convert(NumberType from, NumberType to);

// Throws Error(format) naming the tensor unless every element lies within its storage. Readers call it on all they find.
void check_bounds(const SourceTensor& tensor);

// Calls `take` with the output's bytes in row-major order of the view, piece by piece: scale * x + add as `type`, rounded to nearest even.
// Contiguous numbers that need no change are handed on where they lie. Throws naming the tensor if can_convert says no.
void stream_numbers(const SourceTensor& tensor, NumberType type, double scale, double add, const std::function<void(std::string_view)>& take);

// The first number that is infinite or none among little-endian ones of a real type; -1 if all are finite.
std::int64_t first_nonfinite(NumberType type, std::string_view numbers);

}  // namespace g2s::convert
