// A convolution on CUDA by cuDNN.
#pragma once

#include "engine/cuda/dnn.h"
#include "kernels/conv/conv_cuda_choice.h"
#include "kernels/conv/conv_paths.h"

namespace g2s::kernels {

// What cuDNN is asked for; alignments are those of the engine's tensors.
cuda::dnn::Convolution describe(const CudaConvProblem& problem);
CudaConvProblem problem_of(ConvKind kind, Factors factors, const ConvShape& s);

// Computes it, unless this cuDNN cannot: then returns false and has done nothing. A style before and an epilogue behind are passes of their own.
bool conv_cudnn(const CudaConvProblem& problem, const char* algorithm, const Tensor& first, const Tensor& second, Tensor& result, const Fused& fused);

}  // namespace g2s::kernels
