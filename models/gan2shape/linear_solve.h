// Small systems of linear equations, in double precision.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

// Solves a x = b by elimination with pivots: a is n x n, b is n x columns, both row-major. b becomes x, a is used up.
// Returns whether there is one solution; if not, a and b are of no use.
bool solve_linear(std::vector<double>& a, std::vector<double>& b, std::size_t columns = 1);

}  // namespace g2s
