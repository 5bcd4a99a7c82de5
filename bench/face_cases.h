#pragma once

#include "bench/cases.h"

namespace g2s::bench {

// Faces: `faces_12mp` finds them in a photograph of 12 megapixels, `face_detector_256` and `face_landmarks_192` run the networks alone.
std::map<std::string, Setup> face_cases(const std::string& assets);

}  // namespace g2s::bench
