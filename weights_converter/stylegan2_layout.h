// How three training codes name and store StyleGAN2, as tables of what differs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "weights_converter/scope.h"

namespace g2s::convert {

// Convolution i: 0 at 4x4, then two at every further size, 2k - 1 (which upsamples) and 2k at level k (4 << k pixels).
inline int level_of_conv(int i) { return (i + 1) / 2; }

constexpr int max_levels = 10;  // 4 .. 2048 pixels

// How numbers lie; our own files are of the first kind.
struct StyleGan2Layout {
  const char* title;
  std::size_t modulated_rank;      // 5: modulated weights have a leading dimension of 1
  bool hwio;               // convolutions [k,k,I,O], linear layers [in,out], instead of [O,I,k,k] and [out,in]
  bool upsampling_flipped;          // kernels of upsampling convolutions are turned by half a circle
  double style_bias;                // to be added to the stored biases of styles

  // Names. A base and a suffix make a tensor's name.
  const char *input, *average;  // the learned 4x4 input; the mean of W
  std::string (*dense)(int i);  // base of the mapping's layer i, from 0
  std::string (*conv)(int i);
  std::string (*rgb)(int level);
  std::string (*noise)(int i);
  const char *weight, *bias;                                                 // of linear layers
  const char *conv_weight, *style_weight, *style_bias_name, *strength, *conv_bias;  // of a styled convolution
  const char* rgb_bias;
  std::vector<const char*> conditional;  // what only class-conditional networks have
  const char* kernel_end;  // how the names of blur kernels end; null where they are not stored

  // The discriminator; block i from 1, which works at size >> (i - 1) pixels.
  std::string (*from_rgb)(int size);
  std::string (*block)(int i, int size);
  const char *rgb_conv, *rgb_conv_bias, *conv0, *bias0, *conv1, *bias1, *skip;
  const char *final_conv, *final_bias, *linear0, *linear0_bias, *linear1, *linear1_bias;

  // Views in our order: [O,I,k,k], of modulated convolutions too, and [out,in].
  SourceTensor conv_view(const SourceTensor& t) const { return hwio ? t.permute({3, 2, 0, 1}) : t; }
  SourceTensor modulated_view(const SourceTensor& t) const { return modulated_rank == 5 ? t.select(0, 0) : conv_view(t); }
  SourceTensor dense_view(const SourceTensor& t) const { return hwio ? t.permute({1, 0}) : t; }
};

const StyleGan2Layout& rosinality_layout();
const StyleGan2Layout& ada_layout();
const StyleGan2Layout& tensorflow_layout();

// A generator or discriminator found in a file.
struct StyleGan2Network {
  const StyleGan2Layout* layout;
  Scope scope;
};
std::vector<StyleGan2Network> find_generators(const Checkpoint& checkpoint);
std::vector<StyleGan2Network> find_discriminators(const Checkpoint& checkpoint);

ConversionPlan plan_generator(const Checkpoint& checkpoint, const Request& request);
ConversionPlan plan_discriminator(const Checkpoint& checkpoint, const Request& request);

// What both share (stylegan2_layout.cpp).
// Which of several: the wanted one, else the moving average, else the only one. Throws listing them when there is no telling.
const StyleGan2Network& choose_network(const std::vector<StyleGan2Network>& found, const Request& request, const char* what);
// What is neither in the names nor in the shapes of tensors (stylegan2_checks.cpp): throws naming what is not StyleGAN2 as it is computed here.
enum class Role { generator, discriminator };
void check_network(const StyleGan2Network& network, Role role);
// Of a picture's colours: throws unless there are three.
void check_colours(const StyleGan2Network& network, const std::string& tensor, std::int64_t colours, Role role);
// The value of a constructor's argument that the file remembers; null if it does not say.
const Value* network_setting(const StyleGan2Network& network, const std::string& tensorflow_name);
// The record of the module `path` below a network of NVIDIA's PyTorch code; null for the other layouts.
const Value* ada_module(const StyleGan2Network& network, const std::vector<std::string>& path);
// Numbers of any kind of value, if it is one.
std::optional<double> number_of(const Value* value);
// "multiplier m" of the table 512 at 4..32, then 256m, 128m, .. if the widths (at 4, 8, ..) follow it from 64 on; empty if they do not.
std::string channel_multiplier(const std::vector<std::int64_t>& widths);
std::string joined(const std::vector<std::int64_t>& numbers);
// Notes on tensors below the network's prefix that the plan does not use.
void note_unused(const StyleGan2Network& network, ConversionPlan& plan);

}  // namespace g2s::convert
