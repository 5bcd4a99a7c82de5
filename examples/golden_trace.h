// What surrounds examples/method.cpp: the inputs and results of the golden trace that it reproduces (tests/golden/README.md).
// Nothing of the method is here.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/module.h"
#include "engine/safetensors.h"
#include "engine/tensor.h"

namespace g2s::example {

struct Inputs {
  Tensor image;           // [1,S,S,3]
  Tensor latent;          // [1,512], from which the generator draws it
  Tensor views, lights;   // [B,6], [B,3]: the random ones of step 2
  Tensor samples, masks;  // [B,S,S,3], [B,S,S,1]: what step 3 gets from step 2
};
Inputs golden_inputs(DType dtype);

// Gives each weight of a network the value that follows from its name, so that traces need to store none. fan_in[i] is
// that of a convolution's weight, else 0. The last convolution's is multiplied by `last_scale`. `smooth`: kernels of the
// last three are nearly constant, so that the network's images are smooth.
void fill_hashed(const std::string& net, const std::vector<Parameter>& weights, const std::vector<int>& fan_in, double last_scale, bool smooth);

// What was computed, under the trace's names.
class Record {
 public:
  void add(const std::string& prefix, const std::vector<std::pair<std::string, Tensor>>& values);
  // Of every weight six numbers of its gradient, of its new value, and of its change over the learning rate.
  void add_update(const std::string& step, const std::string& net, const std::vector<Parameter>& weights, const Tensor* before,
                  const Tensor* gradients, double learning_rate);
  const NamedTensors& values() const { return values_; }

 private:
  void add_six(const std::string& prefix, const std::string& weight, const Tensor& value, ParameterKind kind);
  NamedTensors values_;
};

// Prints a table of both records beside the golden trace, and says whether all agrees.
bool agree_with_golden(const Record& f64, const Record& f32);

}  // namespace g2s::example
