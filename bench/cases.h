// The benchmark cases, by name.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <utility>

namespace g2s::bench {

// What does one repetition of a case, and what the engine does not count by itself.
struct Body {
  std::function<void()> run;
  double flops = 0;  // of one repetition, beside convolutions and matrix products
  double bytes = 0;  // that one repetition must move at least; 0: twice what the allocator handed out
  std::map<std::string, double> facts;  // sizes that explain the time

  Body() = default;
  template <class Run>
    requires std::is_invocable_r_v<void, Run>
  Body(Run body) : run(std::move(body)) {}
};

// Builds a case.
using Setup = std::function<Body()>;

// assets: the folder that holds lpips_vgg.safetensors.
std::map<std::string, Setup> cases(const std::string& assets);

}  // namespace g2s::bench
