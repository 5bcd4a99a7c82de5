// Measures who is fastest for each convolution and matrix product of the cases on a CUDA device, and writes the tables that kernels/conv and
// kernels/matmul read; and asks cuDNN without a device whether it has plans for those convolutions.
#pragma once

#include <string>

namespace g2s::bench {

// Runs the cases (or `only` one) once on the device to see their products, times every candidate of each in each precision, `rounds` times in
// turns, and rewrites the rows of the device's SM version in both tables of the folder `kernels`.
void tune_cuda(const std::string& assets, const std::string& kernels, const std::string& only, int rounds);

// Runs the networks once on the CPU, and builds a plan for each of their convolutions and its two gradients for a device of `sm` that need not
// exist. Prints what there is; throws if one has none in f32 or tf32.
void check_plans(const std::string& assets, int sm);

}  // namespace g2s::bench
