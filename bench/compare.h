// What changed between two runs of the benchmarks.
#pragma once

#include <iosfwd>
#include <string>

namespace g2s::bench {

// Prints the cases of two JSON files, as bench/run.py writes them or of lines as g2s_bench --json prints them: medians, their ratio, and
// whether it lies outside the band that the repetitions scatter in. Throws naming the file that is neither.
void compare_runs(const std::string& before, const std::string& after, std::ostream& out);

}  // namespace g2s::bench
