// What all fuzz targets share. Those of checkpoints give their bytes to one; whatever comes back must be an Error or a checkpoint whose
// tensors can all be read and planned. Memory beyond the promise of weights_converter/bytes.h ends the program, as a finding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/image.h"
#include "weights_converter/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace g2s::test {

// While one lives, more memory of operator new than what was in use before and `bytes` ends the program, as a finding.
class Allowance {
 public:
  explicit Allowance(std::size_t bytes);
  ~Allowance();
  Allowance(const Allowance&) = delete;
};
std::size_t bytes_in_use();

// `beside`: what a second file holds (convert::read_checkpoint).
void fuzz_reader(convert::Format format, const std::uint8_t* data, std::size_t size, const std::string& beside = {});

// A decoder of pictures: what comes back must be an Error, or pixels of the size and form that it says. Large ones are only asked for that.
using PictureReader = RawImage (*)(const std::string& path, std::string_view content, bool pixels);
void fuzz_picture(PictureReader reader, std::string_view content);

}  // namespace g2s::test
