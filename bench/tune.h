// Measures which algorithm is fastest for each convolution of the cases, and writes the table that kernels/conv reads.
#pragma once

#include <string>

namespace g2s::bench {

// Runs the cases once to see their convolutions (`known_only`: takes those that the table has for any instruction set), times each possible
// path of each on one thread with this run's instruction set, and rewrites that instruction set's rows in `table`.
void tune(const std::string& assets, const std::string& table, bool known_only);

}  // namespace g2s::bench
