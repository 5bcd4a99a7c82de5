// The trained networks of the method: depth and albedo (EDDeconv), view and light (Encoder), latent offset (ResEncoder).
// Parameter names are those of the PyTorch modules, `network.N.weight`, where N counts every module of the Sequential.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/export.h"
#include "engine/module.h"
#include "engine/safetensors.h"
#include "kernels/random/random.h"

namespace g2s G2S_EXPORTED {

enum class OutputActivation { none, tanh };

// What a parameter is, for its initial value.
enum class ParameterRole {
  conv,             // [O,kh,kw,I]
  transposed_conv,  // the same with O the input's channels
  conv_bias,
  norm_weight,
  norm_bias,
};

// A list of layers and their parameters. All weights are leaves in the hands of whoever trains them (see ParameterMap::set_trainable).
class LayerNet {
 public:
  // x [B,size,size,cin] in [-1,1] -> EDDeconv: [B,size,size,cout]; encoders: [B,cout]. First derivatives to x and the parameters.
  Tensor operator()(const Tensor& x) const;

  ParameterMap& parameters() { return parameters_; }
  const ParameterMap& parameters() const { return parameters_; }
  // Role of every parameter, in their order.
  const std::vector<ParameterRole>& roles() const { return roles_; }
  // PyTorch's defaults: convolutions and their biases uniform in +-1/sqrt(fan_in), group norms 1 and 0.
  void initialize(Random& random);
  void load(const SafetensorsFile& file, const std::string& prefix = "") { parameters_.load(file, prefix); }
  void convert(DType dtype) { parameters_ = parameters_.to(dtype); }
  void move_to(Device device) { parameters_ = parameters_.to(device); }

 protected:
  struct Layer {
    enum class Kind { conv, transposed_conv, norm, activation, tanh, upsample, residual } kind;
    std::size_t parameter = 0;  // the first of the layer's parameters
    int stride = 1, pad = 0;    // of a convolution
    int groups = 0;             // of a norm
    double slope = 1;           // of the leaky ReLU, fused into a norm; 0: ReLU
  };

  LayerNet(const char* name, int size, std::int64_t cin) : name_(name), size_(size), cin_(cin) {}
  void conv(std::int64_t in, std::int64_t out, int k, int stride, int pad);
  void transposed_conv(std::int64_t in, std::int64_t out, int k, int stride, int pad);
  void norm(int groups, std::int64_t channels, double slope);  // group norm and activation: two modules
  void activation(double slope, int modules = 1);
  void skip_module() { ++modules_; }
  void upsample();
  void output_activation(OutputActivation kind);
  void residual_down(std::int64_t in, std::int64_t out);
  void flatten_output() { flatten_ = true; }

 private:
  std::size_t add(const std::string& name, ParameterRole role, const Shape& shape);
  const Tensor& value(std::size_t parameter) const { return parameters_.all()[parameter].value; }
  Tensor run(const Layer& layer, const Tensor& x) const;
  Tensor run_residual(const Layer& layer, const Tensor& x) const;

  const char* name_;
  int size_;
  std::int64_t cin_;
  int modules_ = 0;  // of the Sequential so far
  bool flatten_ = false;
  std::vector<Layer> layers_;
  ParameterMap parameters_;
  std::vector<ParameterRole> roles_;
};

struct LayerNetConfig {
  int cin = 3, cout = 1;
  int size = 128;  // 64 or more, a power of two
  int nf = 32;
  int zdim = 256, gn_base = 8;  // of EDDeconv; gn_base: groups of the first norm
  OutputActivation activation = OutputActivation::tanh;
};

// All parameters are zeros (group norms 1 and 0), to be loaded or initialised.
class EDDeconv : public LayerNet {
 public:
  explicit EDDeconv(const LayerNetConfig& config);
};

class Encoder : public LayerNet {
 public:
  explicit Encoder(const LayerNetConfig& config);
};

class ResEncoder : public LayerNet {
 public:
  explicit ResEncoder(const LayerNetConfig& config);
};

}  // namespace g2s
