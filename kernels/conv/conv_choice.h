// Which algorithm computes which f32 convolution on the CPU: what conv_table.inc says of its shape and the instruction set, else a rule.
// Never the number of threads, never a measurement while a user waits: the same seed gives the same bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "kernels/isa.h"

namespace g2s::kernels {

enum class ConvPath {
  direct,     // the indirect matrix product
  winograd6,  // Winograd's algorithm on tiles of 6x6 inputs: F(4x4, 3x3) and F(2x2, 5x5)
  winograd4,  // on tiles of 4x4: F(2x2, 3x3), for which fewer weights are read
};
const char* to_string(ConvPath path);

// A product of stride 1 over kernel x kernel neighbouring pixels: a convolution or its input gradient.
struct ConvProblem {
  std::int64_t kernel;               // 3 or 5
  std::int64_t batch, rows, columns;  // of the result
  std::int64_t k, n;                 // channels of the input and of the result
  bool constant;                     // the weight is: what is made from it is kept

  auto operator<=>(const ConvProblem&) const = default;
};

bool possible(ConvPath path, const ConvProblem& problem);
// The path of `problem` on this machine: a forced one if it is possible, else the table's, else that of the rule.
ConvPath choose_conv_path(const ConvProblem& problem);
// The rule alone: one for all instruction sets.
ConvPath conv_path_by_rule(const ConvProblem& problem);

// The override G2S_CONV_PATH=direct|winograd6|winograd4 (engine/context.h) forces a path. Problems for which it is not possible go on as they
// would without. Calls `observer` with every problem that this context computes from now on, from the computing thread; an empty one ends this.
void observe_conv_problems(std::function<void(const ConvProblem&)> observer);

// One row of the table.
struct ConvTableRow {
  Isa isa;
  ConvProblem problem;
  ConvPath path;
};
const ConvTableRow* conv_table_begin();
const ConvTableRow* conv_table_end();

}  // namespace g2s::kernels
