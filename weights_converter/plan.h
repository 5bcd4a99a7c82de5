// What a conversion will write, before any number is read.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/export.h"
#include "weights_converter/checkpoint.h"

namespace g2s { namespace convert G2S_EXPORTED {

// One tensor of the output: the parts' numbers one after another, each in row-major order, as y = scale * x + add, then converted to `type`
// (round to nearest, ties to even; integers and booleans convert to real types only). Equal types with scale 1 and add 0 copy bits.
struct OutputTensor {
  std::string name;
  NumberType type = NumberType::f32;
  Dims shape;                       // any with as many numbers as the parts have
  std::vector<SourceTensor> parts;  // usually one
  double scale = 1, add = 0;
};

// `source` under another name, as it is.
OutputTensor output(const std::string& name, const SourceTensor& source);

std::vector<std::string> kind_names();  // what Request::kind may be

struct Request {
  std::string kind = "auto";        // stylegan2-generator, ..., tensors; auto: told by names and shapes
  std::string network;              // which of several in a file: g_ema, g, d, G_ema, G, D, Gs; empty: the usual one
  std::optional<NumberType> dtype;  // f16, bf16, f32; none: as stored
  bool allow_nonfinite = false;     // write infinities and what is no number
};

struct ConversionPlan {
  std::string kind;         // stylegan2-generator, ...
  std::string description;  // StyleGAN2 generator, 256x256, channels 512 512 .., 8 mapping layers, W mean present
  std::vector<OutputTensor> tensors;
  std::map<std::string, std::string> metadata;  // size, channel_multiplier, ...; the program adds sources and their checksums
  std::vector<std::string> notes;               // what was left out or chosen, one sentence each
  bool allow_nonfinite = false;                 // as requested
};

// What the program calls a file of that kind in a folder of weights: stylegan2_g.safetensors; empty for kinds that it does not load from one.
std::string usual_file(const std::string& kind);
// The kind that a file of that name should be; empty for other names.
std::string kind_of_usual_file(const std::string& name);

// Throws naming file and tensor when the inputs are not what the request wants.
ConversionPlan make_plan(const std::vector<std::shared_ptr<const Checkpoint>>& inputs, const Request& request);

}}  // namespace g2s::convert
