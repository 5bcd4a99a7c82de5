#include "weights_converter/mobilestylegan_graph.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "weights_converter/scope.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

constexpr double slope = 0.2, mapping_eps = 1e-8, wavelet = 0.70710678118654752;
constexpr int most_blocks = 16;

// Steps from layer to layer, each of the type that the network has there.
class Walk {
 public:
  Walk(const Checkpoint& checkpoint, const IrModel& model) : checkpoint_(checkpoint), model_(model) {}

  template <class... Parts>
  [[noreturn]] void bad(const IrLayer& layer, const Parts&... what) const {
    fail(Errc::format, checkpoint_.path, "model ", printable(model_.name), " is not quite MobileStyleGAN: layer ", printable(layer.name), " ", what...);
  }

  const IrLayer& result() const {
    for (const IrLayer& l : model_.layers)
      if (l.type == "Result") return input(l, 0);
    fail(Errc::format, checkpoint_.path, "model ", printable(model_.name), " has no result");
  }
  const IrLayer& input(const IrLayer& layer, std::size_t i) const {
    if (i >= layer.inputs.size()) bad(layer, "has no input ", i);
    return model_.layers[layer.inputs[i].layer];
  }
  const IrLayer& input(const IrLayer& layer, std::size_t i, const char* type) const {
    const IrLayer& found = input(layer, i);
    expect(found, type);
    return found;
  }
  void expect(const IrLayer& layer, const char* type) const {
    if (layer.type != type) bad(layer, "is ", printable(layer.type), " where ", type, " is expected");
  }
  // The constant at input i.
  const SourceTensor& constant(const IrLayer& layer, std::size_t i) const {
    const IrLayer& found = input(layer, i, "Const");
    return checkpoint_.tensors[*found.tensor];
  }
  void expect_number(const IrLayer& layer, std::size_t i, double wanted) const {
    const std::vector<double> values = read_values(constant(layer, i), 1);
    if (values.size() != 1 || std::abs(values[0] - wanted) > 1e-6 * std::abs(wanted)) bad(layer, "has another constant than ", wanted);
  }
  void expect_data(const IrLayer& layer, const char* key, std::string wanted) const {
    const auto found = layer.data.find(key);
    std::string have = found == layer.data.end() ? "" : found->second;
    have.erase(std::remove(have.begin(), have.end(), ' '), have.end());
    if (have != wanted) bad(layer, "has ", key, " ", printable(have), " where ", wanted, " is expected");
  }

  const SourceTensor* find(const IrLayer& layer) const { return layer.tensor ? &checkpoint_.tensors[*layer.tensor] : nullptr; }

 private:
  const Checkpoint& checkpoint_;
  const IrModel& model_;
};

class Collector {
 public:
  void add(const std::string& name, const SourceTensor& source, const Dims& shape) {
    tensors_.push_back(source.reshape(shape));
    tensors_.back().name = name;
  }
  std::vector<SourceTensor> take() { return std::move(tensors_); }

 private:
  std::vector<SourceTensor> tensors_;
};

// leaky ReLU, its slope compared; gives what goes in.
const IrLayer& through_activation(const Walk& walk, const IrLayer& layer) {
  walk.expect(layer, "PReLU");
  walk.expect_number(layer, 1, slope);
  return walk.input(layer, 0);
}

// z -> z / sqrt(mean(z^2) + eps)
void expect_normalised(const Walk& walk, const IrLayer& layer) {
  walk.expect(layer, "Multiply");
  walk.input(layer, 0, "Parameter");
  const IrLayer& factor = walk.input(layer, 1, "Multiply");
  walk.expect_number(factor, 0, 1);
  const IrLayer& inverse = walk.input(factor, 1, "Power");
  walk.expect_number(inverse, 1, -1);
  const IrLayer& root = walk.input(inverse, 0, "Power");
  walk.expect_number(root, 1, 0.5);
  const IrLayer& sum = walk.input(root, 0, "Add");
  walk.expect_number(sum, 1, mapping_eps);
  const IrLayer& square = walk.input(walk.input(sum, 0, "ReduceMean"), 0, "Power");
  walk.expect_number(square, 1, 2);
}

// Multiplications by sqrt 2 of leaky ReLUs of affine maps, as deep as they go.
void collect_mapping(const Walk& walk, Collector& out) {
  struct Affine {
    const SourceTensor *weight, *bias;
  };
  std::vector<Affine> layers;
  const IrLayer* at = &walk.result();
  while (walk.input(*at, 0).type == "PReLU") {
    walk.expect(*at, "Multiply");
    walk.expect_number(*at, 1, std::sqrt(2.0));
    const IrLayer& sum = through_activation(walk, walk.input(*at, 0));
    walk.expect(sum, "Add");
    const IrLayer& product = walk.input(sum, 0, "MatMul");
    walk.expect_data(product, "transpose_b", "true");
    const IrLayer& bias = walk.input(sum, 1);
    layers.push_back({&walk.constant(product, 1), bias.type == "Const" ? &walk.constant(sum, 1) : &walk.constant(bias, 0)});
    if (layers.size() > most_blocks) walk.bad(*at, "is one of too many");
    at = &walk.input(product, 0);
  }
  expect_normalised(walk, *at);
  std::reverse(layers.begin(), layers.end());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    out.add(str("mapping.", i, ".weight"), *layers[i].weight, layers[i].weight->shape);
    out.add(str("mapping.", i, ".bias"), *layers[i].bias, {layers[i].bias->numel()});
  }
}

// A w + a, reshaped to a factor for each channel.
void collect_affine(const Walk& walk, const IrLayer& layer, const std::string& name, Collector& out) {
  walk.expect(layer, "Reshape");
  const IrLayer& sum = walk.input(layer, 0, "Add");
  const IrLayer& product = walk.input(sum, 0, "MatMul");
  walk.expect_data(product, "transpose_b", "true");
  walk.input(product, 0, "Parameter");
  const SourceTensor &weight = walk.constant(product, 1), &bias = walk.constant(sum, 1);
  out.add(name + ".weight", weight, weight.shape);
  out.add(name + ".bias", bias, {bias.numel()});
}

// The factors on channels come first or second; gives the pictures.
const IrLayer& collect_style(const Walk& walk, const IrLayer& layer, const std::string& name, bool scaled, Collector& out) {
  walk.expect(layer, "Multiply");
  auto is_style = [&](const IrLayer& l) { return scaled ? l.type == "Multiply" && walk.input(l, 0).type == "Reshape" : l.type == "Reshape"; };
  const std::size_t which = is_style(walk.input(layer, 0)) ? 0 : 1;
  const IrLayer& style = walk.input(layer, which);
  if (!is_style(style)) walk.bad(layer, "does not multiply pictures by a style");
  if (scaled) {
    const SourceTensor& scale = walk.constant(style, 1);
    if (scale.numel() != 1) walk.bad(style, "has ", scale.numel(), " factors, not one");
    out.add(name + ".scale", scale, {});
  }
  collect_affine(walk, scaled ? walk.input(style, 0) : style, name + ".modulation", out);
  return walk.input(layer, 1 - which);
}

const IrLayer& through_convolution(const Walk& walk, const IrLayer& layer, std::int64_t kernel, const char* type) {
  walk.expect(layer, type);
  const std::string pad = str(kernel / 2, ",", kernel / 2);
  for (const auto& [key, value] : {std::pair<const char*, std::string>{"strides", "1,1"}, {"dilations", "1,1"}, {"pads_begin", pad}, {"pads_end", pad}})
    walk.expect_data(layer, key, value);
  const Dims& shape = walk.constant(layer, 1).shape;
  if (shape.size() < 4 || shape.back() != kernel || shape[shape.size() - 2] != kernel) walk.bad(layer, "has no kernel of ", kernel, "x", kernel);
  return walk.input(layer, 0);
}

// x -> modulated, convolved, + noise, + bias, activated; gives x.
const IrLayer& collect_styled(const Walk& walk, const IrLayer& layer, const std::string& name, bool depthwise, Collector& out) {
  const IrLayer& biased = through_activation(walk, layer);
  walk.expect(biased, "Add");
  const IrLayer& noisy = walk.input(biased, 0, "Add");
  const SourceTensor &bias = walk.constant(biased, 1), &noise = walk.constant(noisy, 1);
  const IrLayer& convolution = walk.input(noisy, 0);
  const IrLayer* before = &through_convolution(walk, convolution, depthwise ? 1 : 3, "Convolution");
  const SourceTensor& weight = walk.constant(convolution, 1);
  out.add(name + ".bias", bias, {bias.numel()});
  out.add(name + ".noise", noise, noise.shape);
  if (depthwise) {
    const SourceTensor& kernels = walk.constant(*before, 1);
    before = &through_convolution(walk, *before, 3, "GroupConvolution");
    out.add(name + ".conv.weight_permute", weight, weight.shape);
    out.add(name + ".conv.weight_dw", kernels, {kernels.shape[0], 1, 3, 3});
  } else {
    out.add(name + ".conv.weight", weight, weight.shape);
  }
  return collect_style(walk, *before, name + ".conv", true, out);
}

// A transposed convolution by (1, 1) / sqrt 2 or (1, -1) / sqrt 2; gives what goes in.
const IrLayer& through_wavelet(const Walk& walk, const IrLayer& layer, const char* strides, double sign) {
  walk.expect(layer, "GroupConvolutionBackpropData");
  walk.expect_data(layer, "strides", strides);
  for (const char* pads : {"pads_begin", "pads_end", "output_padding"}) walk.expect_data(layer, pads, "0,0");
  const std::vector<double> values = read_values(walk.constant(layer, 1));
  for (std::size_t i = 0; i < values.size(); ++i)
    if (std::abs(values[i] - (i % 2 ? sign : 1) * wavelet) > 1e-6) walk.bad(layer, "is no step of Haar's wavelet");
  return walk.input(layer, 0);
}

// The place of an edge among the outputs of a split, which has three inputs.
std::int64_t output_of(const IrLayer& layer, std::size_t i) { return layer.inputs[i].port - 3; }

// One inverse step of Haar's wavelet; gives the bands, which are split into the low one and three others.
const IrLayer& through_haar(const Walk& walk, const IrLayer& layer) {
  const IrLayer* bands = nullptr;
  auto low = [&](const IrLayer& user) {
    const IrLayer& split = walk.input(user, 0, "VariadicSplit");
    if (output_of(user, 0) != 0) walk.bad(user, "takes another band than the low one");
    bands = &walk.input(split, 0);
  };
  auto high = [&](const IrLayer& user, std::int64_t which) {
    const IrLayer& squeezed = walk.input(user, 0, "Squeeze");
    const IrLayer& split = walk.input(squeezed, 0, "VariadicSplit");
    const IrLayer& reshaped = walk.input(split, 0, "Reshape");
    const IrLayer& whole = walk.input(reshaped, 0, "VariadicSplit");
    const bool same = &walk.input(whole, 0) == bands;
    if (output_of(squeezed, 0) != which || output_of(reshaped, 0) != 1 || !same) walk.bad(user, "takes another band than ", which);
  };
  walk.expect(layer, "Add");
  for (std::size_t column = 0; column < 2; ++column) {
    const IrLayer& rows = through_wavelet(walk, walk.input(layer, column), "1,2", column ? -1 : 1);
    walk.expect(rows, "Add");
    for (std::size_t row = 0; row < 2; ++row) {
      const IrLayer& band = walk.input(rows, row);
      through_wavelet(walk, band, "2,1", row ? -1 : 1);
      if (row + column == 0) low(band);
      else high(band, static_cast<std::int64_t>(2 * column + row) - 1);
    }
  }
  return *bands;
}

// conv2(conv1(haar(modulated x))); gives x.
const IrLayer& collect_block(const Walk& walk, const IrLayer& layer, Collector& out) {
  const IrLayer& middle = collect_styled(walk, layer, "conv2", true, out);
  const IrLayer& upsampled = collect_styled(walk, middle, "conv1", true, out);
  return collect_style(walk, through_haar(walk, upsampled), "up", false, out);
}

const IrLayer& collect_to_image(const Walk& walk, const IrLayer& layer, Collector& out) {
  walk.expect(layer, "Add");
  const IrLayer& convolution = walk.input(layer, 0);
  const IrLayer& modulated = through_convolution(walk, convolution, 1, "Convolution");
  const SourceTensor &weight = walk.constant(convolution, 1), &bias = walk.constant(layer, 1);
  out.add("to_img.bias", bias, {bias.numel()});
  out.add("to_img.conv.weight", weight, weight.shape);
  return collect_style(walk, modulated, "to_img.conv", true, out);
}

bool is_block(const Walk& walk, const IrLayer& layer) {
  const IrLayer* at = &layer;
  for (int i = 0; i < 4 && at->type != "GroupConvolution"; ++i) {
    if (at->inputs.empty()) return false;
    at = &walk.input(*at, 0);
    if (at->type == "Convolution") return walk.input(*at, 0).type == "GroupConvolution";
  }
  return false;
}

void collect_synthesis(const Walk& walk, std::vector<SourceTensor>& all) {
  std::vector<std::vector<SourceTensor>> blocks;  // the last one first; names are without "layers.N."
  Collector picture;
  const IrLayer* at = &collect_to_image(walk, through_haar(walk, walk.result()), picture);
  while (is_block(walk, *at)) {
    Collector block;
    at = &collect_block(walk, *at, block);
    blocks.push_back(block.take());
    if (blocks.size() > most_blocks) walk.bad(*at, "is one of too many");
  }
  if (blocks.empty()) walk.bad(*at, "ends no block");
  for (SourceTensor& t : picture.take()) blocks.front().push_back(std::move(t));
  Collector first;
  at = &collect_styled(walk, *at, "conv1", false, first);
  for (int i = 0; i < 4 && at->type != "Const"; ++i) at = &walk.input(*at, 0);  // repeated for every picture
  if (at->type != "Const") walk.bad(*at, "is ", printable(at->type), " where the constant input is expected");
  first.add("input.input", *walk.find(*at), walk.find(*at)->shape);
  for (SourceTensor& t : first.take()) all.push_back(std::move(t));
  for (std::size_t i = 0; i < blocks.size(); ++i)
    for (SourceTensor& t : blocks[blocks.size() - 1 - i]) {
      t.name = str("layers.", i, ".", t.name);
      all.push_back(std::move(t));
    }
}

bool has_blocks(const Checkpoint& checkpoint, const IrModel& model) {
  return std::any_of(model.layers.begin(), model.layers.end(),
                     [&](const IrLayer& l) { return l.tensor && ends_with(checkpoint.tensors[*l.tensor].name, "layers.0.conv1.conv.weight_dw"); });
}

// Numbers of several layers are looked at: an inflated .bin is kept until the end.
Memory numbers_of(const Checkpoint& checkpoint, const IrModel& model) {
  for (const IrLayer& l : model.layers)
    if (l.tensor && checkpoint.tensors[*l.tensor].storage.source) return checkpoint.tensors[*l.tensor].storage.load();
  return {};
}

// A mapping ends in leaky ReLUs and has no convolutions.
bool is_mapping(const Walk& walk, const IrModel& model) {
  const bool convolves = std::any_of(model.layers.begin(), model.layers.end(), [](const IrLayer& l) { return l.type == "Convolution"; });
  const IrLayer& last = walk.result();
  return !convolves && last.type == "Multiply" && !last.inputs.empty() && walk.input(last, 0).type == "PReLU";
}

}  // namespace

bool has_mobilestylegan(const Checkpoint& checkpoint) {
  return std::any_of(checkpoint.models.begin(), checkpoint.models.end(), [&](const IrModel& m) { return has_blocks(checkpoint, m); });
}

std::vector<SourceTensor> mobilestylegan_tensors(const Checkpoint& checkpoint) {
  std::vector<SourceTensor> mapping, synthesis;
  for (const IrModel& model : checkpoint.models) {
    const Walk walk(checkpoint, model);
    const Memory kept = numbers_of(checkpoint, model);
    if (has_blocks(checkpoint, model)) {
      collect_synthesis(walk, synthesis);
    } else if (is_mapping(walk, model)) {
      Collector out;
      collect_mapping(walk, out);
      for (SourceTensor& t : out.take()) mapping.push_back(std::move(t));
    }
  }
  mapping.insert(mapping.end(), std::make_move_iterator(synthesis.begin()), std::make_move_iterator(synthesis.end()));
  return mapping;
}

}  // namespace g2s::convert
