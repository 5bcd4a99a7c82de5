#include "models/gan2shape/trace_output.h"

#include <array>
#include <cmath>

#include "engine/autograd.h"
#include "engine/hashed_tensor.h"
#include "kernels/shape/shape.h"

namespace g2s {

void TraceOutput::image(const std::string& name, const Tensor& nhwc) {
  NoGrad no_grad;
  all_.emplace_back(name, nhwc_to_nchw(nhwc.detach().to(Device{})).to(DType::f32));
}

void TraceOutput::vector(const std::string& name, const Tensor& value) {
  const Tensor host = value.detach().to(Device{});
  all_.emplace_back(name, host.dtype() == DType::f32 ? host.clone() : host.to(DType::f32));
}

void TraceOutput::loss(const std::string& name, const Tensor& scalar) {
  all_.emplace_back(name, Tensor::from<float>({static_cast<float>(scalar.item())}, {1}, Device{}));
}

void TraceOutput::summary(const std::string& name, const std::string& numbered, const Tensor& value) {
  const Tensor wide = value.detach().to(Device{}).to(DType::f64);
  const double* p = wide.data<double>();
  const std::uint64_t hash = fnv1a64("dot:" + numbered);
  double squares = 0, dot = 0;
  for (std::int64_t i = 0; i < wide.numel(); ++i) {
    squares += p[i] * p[i];
    dot += p[i] * hashed_uniform(hash, static_cast<std::uint64_t>(i));
  }
  std::vector<float> out = {static_cast<float>(std::sqrt(squares)), static_cast<float>(dot)};
  for (std::int64_t i = 0; i < 4; ++i) out.push_back(i < wide.numel() ? static_cast<float>(p[i]) : 0.f);
  all_.emplace_back(name, Tensor::from(out, {static_cast<std::int64_t>(out.size())}, Device{}));
}

void TraceOutput::losses(const std::string& step, const Losses& l) {
  const std::string at = step + "/loss/";
  for (const auto& [name, value] : named(l))
    if (name != "smooth_diffuse") loss(at + name, value);
  if (!l.smooth_depth) return;
  loss(at + "smooth_diffuse", l.smooth_diffuse);
  all_.emplace_back(at + "smooth", Tensor::from<float>({static_cast<float>(l.smooth_depth.item() + l.smooth_diffuse.item())}, {1}, Device{}));
}

Tensor dot_image(const std::string& name, const Tensor& x) {
  NoGrad no_grad;
  return nchw_to_nhwc(hashed_tensor("dot:" + name, {x.dim(0), x.dim(3), x.dim(1), x.dim(2)}, x.dtype())).to(x.device());
}

void trace_update(TraceOutput& out, const std::string& step, const std::string& network, ParameterMap& parameters,
                  const std::vector<Tensor>& gradients, const Config& config) {
  std::vector<Tensor> before;
  for (const Tensor& p : parameters.tensors()) before.push_back(p.clone());
  Adam(parameters.tensors(), adam_options(config)).step(gradients);
  for (std::size_t i = 0; i < before.size(); ++i) {
    const Parameter& p = parameters.all()[i];
    const std::string name = network + "/" + p.name;
    out.summary(step + "/grad/" + name, name, to_checkpoint(gradients[i].detach().to(Device{}), p.kind));
    out.summary(step + "/param/" + name, name, to_checkpoint(p.value.detach().to(Device{}), p.kind));
    std::vector<double> update(static_cast<std::size_t>(p.value.numel()));
    const Tensor now = p.value.detach().to(Device{}).to(DType::f64), old = before[i].to(Device{}).to(DType::f64);
    for (std::size_t k = 0; k < update.size(); ++k) update[k] = (now.data<double>()[k] - old.data<double>()[k]) / config.lr;
    out.summary(step + "/update/" + name, name, to_checkpoint(Tensor::from(update, p.value.shape(), Device{}), p.kind));
  }
}

}  // namespace g2s
