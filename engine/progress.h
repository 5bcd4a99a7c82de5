// What long work says while it runs. The library reports (Context::report); only a program prints.
#pragma once

#include <cstdint>
#include <string>

#include "engine/export.h"

namespace g2s G2S_EXPORTED {

struct ProgressState {
  std::string stage;  // "stage 1/4, step 2"
  std::int64_t step = 0, steps = 0;  // done so far, of
  double loss = 0;
  bool has_loss = false;
  double seconds = 0;        // since the beginning of everything
  double seconds_left = -1;  // of everything; negative: not known yet
};

}  // namespace g2s
