// What all fuzz targets share. A target gives its bytes to one reader; whatever comes back must be an Error or a checkpoint whose tensors can all
// be read and planned. Memory beyond the promise of weights_converter/bytes.h ends the program, as a finding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "weights_converter/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace g2s::test {

// `beside`: what a second file holds (convert::read_checkpoint).
void fuzz_reader(convert::Format format, const std::uint8_t* data, std::size_t size, const std::string& beside = {});

}  // namespace g2s::test
