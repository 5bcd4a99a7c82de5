// The benchmark cases, by name.
#pragma once

#include <functional>
#include <map>
#include <string>

namespace g2s::bench {

// Builds a case and gives what does one repetition of it.
using Setup = std::function<std::function<void()>()>;

// assets: the folder that holds lpips_vgg.safetensors.
std::map<std::string, Setup> cases(const std::string& assets);

}  // namespace g2s::bench
