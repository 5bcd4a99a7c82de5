// The f32 convolution on the CPU: which algorithm computes which shape. Internal to this folder.
#pragma once

#include "engine/tensor.h"
#include "kernels/conv/conv_args.h"

namespace g2s::kernels {

void conv_forward_cpu(const ConvShape& s, const Tensor& x, const Tensor& w, Tensor& y);
void conv_input_grad_cpu(const ConvShape& s, const Tensor& dy, const Tensor& w, Tensor& dx);
void conv_weight_grad_cpu(const ConvShape& s, const Tensor& x, const Tensor& dy, Tensor& dw);

}  // namespace g2s::kernels
