// Masks as people have them: white on black, cut-outs, labels, palettes.
#pragma once

#include <string>
#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

struct MaskFile {
  Tensor mask;                     // f32 [1,H,W,1] in [0,1], upright
  std::vector<std::string> notes;  // how it was understood, one clause each
};

// Transparency counts where a file has it and is not opaque. Else brightness; of two grey levels, of labels (small numbers) and of colours
// everything but black is the object. Throws naming the file and what was seen where nothing is bright enough, or where it looks like a
// photograph.
MaskFile read_mask_file(const std::string& path);

// At another size; throws naming both sizes unless it has the same shape.
void fit_mask(MaskFile& file, const std::string& path, std::int64_t width, std::int64_t height, const std::string& picture);

}  // namespace G2S_EXPORTED
