// The whole schedule of a preset on one made-up image, with a random generator: what a fit takes, whatever comes out.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "engine/types.h"

namespace g2s::bench {

struct ScheduleOptions {
  std::string preset, assets;
  Device device;
  double scale = 1;    // of every iteration count
  double seconds = 0;  // stop after so long and say what the rest would take; 0: never
};

// Of each phase its iterations, those that were done, and seconds; what all takes or, where it was stopped, would take.
nlohmann::json time_schedule(const ScheduleOptions& options);

}  // namespace g2s::bench
