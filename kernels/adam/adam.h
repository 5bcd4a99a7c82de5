// Adam (Kingma and Ba 2015) with weight decay as L2 (torch.optim.Adam), one fused pass over all parameters. The t-th update of a parameter p:
//   g = gradient + weight_decay p,  m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2,  m and v being 0 before the first,
//   p = p - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps).
// It works in place and has no derivative.
#pragma once

#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

struct AdamOptions {
  double lr = 1e-4, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0;  // added to the gradient as weight_decay * parameter
};

class Adam {
 public:
  Adam(std::vector<Tensor> parameters, AdamOptions options);
  // One update, in place; gradients in the order of the parameters (an undefined one leaves its parameter alone). As part of a
  // CapturedGraph's work it is one update each time, with the learning rate and the time of then; the Adam stays where it is meanwhile.
  void step(const std::vector<Tensor>& gradients);
  void set_lr(double lr) { options_.lr = lr; }
  const std::vector<Tensor>& parameters() const { return parameters_; }
  std::int64_t steps() const { return steps_; }  // calls of step()
  // For checkpoints: first, then second, in the order of the parameters.
  std::vector<Tensor>& moments() { return moments_; }
  void set_steps(std::int64_t steps);  // every parameter updated in each of them

 private:
  void advance(const std::vector<std::size_t>& updated);

  std::vector<Tensor> parameters_, moments_;
  std::vector<std::int64_t> updates_;  // of each parameter: the time of its bias correction
  Tensor sizes_;  // f64: a kernels::AdamSize for each parameter that is updated, where they are
  AdamOptions options_;
  std::int64_t steps_ = 0;
};

}  // namespace g2s
