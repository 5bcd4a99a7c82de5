// The perceptual distance LPIPS v0.1 (Zhang et al. 2018) on VGG16 features.
#pragma once

#include <string>
#include <vector>

#include "engine/export.h"
#include "engine/module.h"
#include "engine/safetensors.h"

namespace g2s G2S_EXPORTED {

class Lpips {
 public:
  // What the distance needs of one batch of images: the outputs of relu1_2, 2_2, 3_3, 4_3 and 5_3.
  using Features = std::vector<Tensor>;

  // Tensors `net.features.N.weight` and `.bias` (torchvision's numbers) and `linK.weight`, constant from here on.
  explicit Lpips(const SafetensorsFile& file, DType dtype = DType::f32);

  // x [B,H,W,3] in [-1,1], H and W 16 or more. To compare many images with one target, keep the target's features.
  Features features(const Tensor& x) const;
  // -> [B]; features of two batches of the same shape. First derivatives to both.
  Tensor distance(const Features& a, const Features& b) const;
  Tensor distance(const Tensor& a, const Tensor& b) const { return distance(features(a), features(b)); }

 private:
  struct Conv {
    Tensor weight, bias;
    bool tap = false;   // its output is one of the five
    bool pool = false;  // max pooling comes before it
  };
  std::vector<Conv> convs_;
  std::vector<Tensor> heads_;  // [C] each
  Tensor minus_shift_;         // [3]
};

}  // namespace g2s
