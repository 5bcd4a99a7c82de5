// U-2-Net-p (Qin et al. 2020): what stands out in an image, for an object mask where none is given. Inference only.
#pragma once

#include <map>
#include <string>

#include "engine/export.h"
#include "engine/module.h"
#include "engine/safetensors.h"

namespace g2s G2S_EXPORTED {

class U2NetP {
 public:
  // Tensors `stageN.rebnconvK.conv.weight` and `.bias` (batch norm folded in), `sideN`, `outconv`.
  explicit U2NetP(const SafetensorsFile& file, DType dtype = DType::f32);

  // The network itself: normalised x [B,H,W,3] -> saliency [B,H,W,1] in 0..1. H and W 33 or more.
  Tensor saliency(const Tensor& x) const;
  // image [H,W,3] in [-1,1] -> [H,W] in 0..1: the saliency at 320 x 320, min-max normalised, at the image's size.
  Tensor probability(const Tensor& image) const;
  // 1 where the probability is above a half, else 0.
  Tensor mask(const Tensor& image) const;

 private:
  struct Conv {
    Tensor weight, bias;
  };
  Tensor conv(const std::string& name, const Tensor& x, int dilation = 1, double slope = 0) const;  // the slope of its leaky ReLU: 1 for none
  Tensor side(const std::string& name, const Tensor& x) const { return conv(name, x, 1, 1); }
  Tensor block(const std::string& stage, const Tensor& x, int height) const;
  Tensor dilated_block(const std::string& stage, const Tensor& x) const;

  std::map<std::string, Conv> convs_;
};

}  // namespace g2s
