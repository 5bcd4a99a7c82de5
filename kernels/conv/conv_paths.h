// The ways to compute a convolution: on CUDA one, in f32 on the CPU several, by shape. Internal to this folder.
#pragma once

#include "engine/tensor.h"
#include "kernels/conv/conv_args.h"
#include "kernels/matmul/weight_layout.h"

namespace g2s::kernels {

// What a convolution in f32 on CUDA does on the way, or null.
struct Fused {
  const Tensor* style = nullptr;           // [images, channels]: `first` times that, where it is read. Not of weight gradients.
  const EpilogueArgs* epilogue = nullptr;  // of forward products
  Tensor* mask = nullptr;                  // u8, like the result of a forward product: where it is positive, as bias_act_mask has it
};
Tensor times_style(const Tensor& x, const Tensor& style);  // as a pass of its own
// Any of the three in f32 or f64.
void conv_cuda(ConvKind kind, const ConvShape& s, const Tensor& first, const Tensor& second, Tensor& result, const Fused& fused = {});

void conv_forward_cpu(const ConvShape& s, const Tensor& x, const Tensor& w, Tensor& y, const EpilogueArgs& epilogue = {});
void conv_input_grad_cpu(const ConvShape& s, const Tensor& dy, const Tensor& w, Tensor& dx);
void conv_weight_grad_cpu(const ConvShape& s, const Tensor& x, const Tensor& dy, Tensor& dw);

// Winograd's algorithm for a square kernel on neighbouring pixels, on tiles of tile x tile inputs. `ties`: see keep_ties.
void conv_winograd(const IndirectGemmArgs& g, std::int64_t tile, std::int64_t kernel, std::int64_t pad_rows, std::int64_t pad_columns,
                   const Tensor& x, const WeightView& view, const std::string& cache_key, bool ties);
// Winograd's outputs round differently from place to place, so that neighbours that should be equal (in a plain background) are not quite, and
// a later maximum pooling would send its gradient to another pixel than exact arithmetic does. This makes them equal again in the images
// that `wanted` names.
void keep_ties(const IndirectGemmArgs& g, std::int64_t kernel, std::int64_t pad_rows, std::int64_t pad_columns,
               const std::vector<std::int64_t>& wanted);

// Precision::bf16: g with its taps given, everything but its weight; needs a bf16_unit().
void conv_bf16(const IndirectGemmArgs& g, const WeightView& view, const std::string& cache_key);

}  // namespace g2s::kernels
