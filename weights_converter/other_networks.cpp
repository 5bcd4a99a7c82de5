#include "weights_converter/other_networks.h"

#include <algorithm>
#include <string_view>
#include <vector>

namespace g2s::convert {
namespace {

// All parts must be in the names of a file, the first in that of the tensor that is named.
struct Signature {
  const char* title;
  std::vector<const char*> parts;
};

// The more special ones first.
const std::vector<Signature>& signatures() {
  static const std::vector<Signature> all = {
      {"a StyleGAN3 generator", {"synthesis.input.freqs"}},
      {"a StyleGAN3 generator", {".magnitude_ema", "synthesis.L0_"}},
      {"a SWAGAN generator (wavelets)", {"iwt.ll", "input.input"}},
      {"a SWAGAN discriminator (wavelets)", {"dwt.ll", "final_linear"}},
      {"an EG3D generator", {"backbone.synthesis.b4.const"}},
      {"a generator of StyleGAN, the first", {"Const/StyleMod/weight"}},
      {"a generator of StyleGAN, the first, in the layout of genforce", {"truncation.w_avg", "synthesis.lod"}},
      {"a generator of StyleGAN, the first, in the layout of genforce", {"epilogue.style_mod"}},
      {"a generator of StyleGAN, the first", {"synthesis.blocks.4x4.const"}},
      {"a generator of StyleGAN, the first", {"progression.0.conv1", "adain1.style"}},
      {"a generator of StyleGAN, the first", {".epi1.style_mod"}},
      {"a generator of ProGAN", {"4x4/Dense/weight", "ToRGB_lod0/weight"}},
      {"a StyleGAN2 generator in the layout of genforce", {"truncation.w_avg"}},
      {"a StyleGAN2 generator in the layout of genforce", {"synthesis.early_layer.const"}},
      {"a StyleGAN2 of lucidrains' code", {"to_style1.weight", "to_noise1.weight"}},
      {"a StyleGAN2 generator in the layout of OpenMMLab", {"style_mapping.1.", "constant_input"}},
      {"a generator of GFPGAN or BasicSR", {"style_mlp.1.weight", "constant_input.weight"}},
  };
  return all;
}

const std::string* name_with(const Checkpoint& checkpoint, const std::string& prefix, std::string_view part) {
  // The prefix's own last part counts: it may be what makes the difference.
  const std::size_t end = prefix.empty() ? 0 : prefix.size() - 1, dot = prefix.rfind('.', end == 0 ? 0 : end - 1);
  const std::size_t begin = dot == std::string::npos || dot >= end ? 0 : dot + 1;
  for (const SourceTensor& t : checkpoint.tensors)
    if (t.name.starts_with(prefix) && t.name.find(part, begin) != std::string::npos) return &t.name;
  return nullptr;
}

}  // namespace

std::optional<OtherNetwork> find_other_network(const Checkpoint& checkpoint, const std::string& prefix) {
  for (const Signature& s : signatures()) {
    const bool all =
        std::all_of(s.parts.begin(), s.parts.end(), [&](const char* part) { return name_with(checkpoint, prefix, part) != nullptr; });
    if (all) return OtherNetwork{s.title, *name_with(checkpoint, prefix, s.parts[0])};
  }
  return std::nullopt;
}

}  // namespace g2s::convert
