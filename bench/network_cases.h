#pragma once

#include <cstdint>
#include <vector>

#include "bench/cases.h"

#include "models/lpips.h"
#include "models/stylegan2_discriminator.h"
#include "models/stylegan2_generator.h"

namespace g2s::bench {

// Random weights of the right shapes: config-e at 128, or the shipped 64-pixel width.
StyleGan2Generator random_generator(int size);
StyleGan2Discriminator random_discriminator(int size);
Tensor random_images(std::int64_t batch, std::int64_t size, const char* stream);

std::map<std::string, Setup> network_cases(const std::string& assets);
std::map<std::string, Setup> step_cases(const std::string& assets);
std::map<std::string, Setup> operator_cases();
// Pictures of a tiny generator through the C interface, and in C++.
std::map<std::string, Setup> c_api_cases();

// The depth rasteriser with `batch` views of a smooth shape.
Body rasteriser_case(std::int64_t size, std::int64_t batch);

}  // namespace g2s::bench
