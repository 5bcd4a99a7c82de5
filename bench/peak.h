// What this machine can do at most: the roof of the roofline.
#pragma once

#include <nlohmann/json.hpp>

namespace g2s::bench {

// f32 fused multiply-adds from registers, GFLOP/s of one thread and of `threads`, for each instruction set that the machine runs, and the
// bandwidth of memory, GB/s. The best of many short trials: other programs can only make it slower.
nlohmann::json measure_peak(int threads);

}  // namespace g2s::bench
