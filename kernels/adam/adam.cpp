#include "kernels/adam/adam.h"

#include <cmath>

#include "engine/captured_graph.h"
#include "kernels/adam/adam_args.h"

namespace g2s {

Adam::Adam(std::vector<Tensor> parameters, AdamOptions options)
    : parameters_(std::move(parameters)), updates_(parameters_.size(), 0), options_(options) {
  bool valid = options.lr >= 0 && options.eps >= 0 && options.weight_decay >= 0 && options.beta1 >= 0 && options.beta1 < 1 && options.beta2 >= 0 &&
               options.beta2 < 1;
  if (!valid)
    fail(Errc::invalid_argument, "adam", "lr ", options.lr, ", betas ", options.beta1, " and ", options.beta2, ", eps ", options.eps,
         ", weight decay ", options.weight_decay);
  for (const Tensor& p : parameters_)
    if (!is_real(p.dtype()) || p.is_constant()) fail(Errc::invalid_argument, "adam", "cannot update a parameter ", describe(p));
  for (int i = 0; i < 2; ++i)
    for (const Tensor& p : parameters_) moments_.push_back(Tensor::zeros(p.shape(), p.dtype(), p.device()));
  if (!parameters_.empty()) sizes_ = Tensor::zeros({static_cast<std::int64_t>(parameters_.size()), 2}, DType::f64, parameters_[0].device());
}

void Adam::set_steps(std::int64_t steps) {
  steps_ = steps;
  updates_.assign(parameters_.size(), steps);
}

void Adam::step(const std::vector<Tensor>& gradients) {
  constexpr std::int64_t block = 1 << 14;
  std::size_t count = parameters_.size();
  check(gradients.size() == count, "adam", gradients.size(), " gradients for ", count, " parameters");
  check(moments_.size() == 2 * count && updates_.size() == count, "adam", moments_.size(), " moments for ", count, " parameters");
  for (std::size_t i = 0; i < count; ++i) {
    const Tensor &p = parameters_[i], &g = gradients[i];
    if (!g.defined()) continue;
    check(g.shape() == p.shape() && g.dtype() == p.dtype() && g.device() == p.device(), "adam", "gradient ", i, " is ", describe(g),
          " for a parameter ", describe(p));
    for (const Tensor& m : {moments_[i], moments_[count + i]})
      check(m.shape() == p.shape() && m.dtype() == p.dtype() && m.device() == p.device(), "adam", "moment ", i, " is ", describe(m),
            " for a parameter ", describe(p));
    check(p.device() == parameters_[0].device(), "adam", "parameters on ", parameters_[0].device(), " and ", p.device());
  }
  std::vector<std::size_t> updated;
  for (std::size_t i = 0; i < count; ++i)
    if (gradients[i].defined()) updated.push_back(i);
  CapturedGraph::before_each_launch([this, updated] { advance(updated); });
  if (updated.empty()) return;
  const bool on_cuda = parameters_[0].on_cuda();
  std::vector<kernels::AdamTensor> tensors;
  std::vector<kernels::AdamPiece> pieces;
  for (std::size_t i : updated) {
    std::int64_t n = parameters_[i].numel();
    for (std::int64_t begin = 0; begin < n && !on_cuda; begin += block)
      pieces.push_back({static_cast<std::int64_t>(tensors.size()), begin, std::min(n, begin + block)});
    tensors.push_back({parameters_[i].dtype() == DType::f64, n, parameters_[i].mutable_raw(), gradients[i].raw(), moments_[i].mutable_raw(),
                       moments_[count + i].mutable_raw()});
  }
  kernels::adam(on_cuda, {tensors.data(), static_cast<const kernels::AdamSize*>(sizes_.raw()), static_cast<std::int64_t>(tensors.size()), pieces.data(),
                          static_cast<std::int64_t>(pieces.size()), options_.beta1, options_.beta2, options_.eps, options_.weight_decay});
}

// The host's part of an update.
void Adam::advance(const std::vector<std::size_t>& updated) {
  ++steps_;
  std::vector<double> sizes;  // of kernels::AdamSize
  for (std::size_t i : updated) {
    const double t = static_cast<double>(++updates_[i]);
    sizes.insert(sizes.end(), {options_.lr / (1 - std::pow(options_.beta1, t)), std::sqrt(1 - std::pow(options_.beta2, t))});
  }
  if (!sizes_) return;
  sizes.resize(static_cast<std::size_t>(sizes_.numel()));
  copy_into(sizes_, Tensor::from(sizes, sizes_.shape(), Device{}));
}

}  // namespace g2s
