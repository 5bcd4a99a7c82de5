#include "models/lpips.h"

#include <array>

#include "engine/autograd.h"
#include "engine/constant.h"
#include "kernels/bias_act/bias_act.h"
#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/lpips_head/lpips_head.h"
#include "kernels/pool/pool.h"

namespace g2s {
namespace {

constexpr const char* op = "lpips";

// Convolutions of torchvision's VGG16 by their number among its modules, each 3x3 and followed by a ReLU.
struct VggConv {
  int number;
  std::int64_t in, out;
  bool pool, tap;
};
constexpr std::array<VggConv, 13> vgg16 = {{{0, 3, 64, false, false},
                                            {2, 64, 64, false, true},
                                            {5, 64, 128, true, false},
                                            {7, 128, 128, false, true},
                                            {10, 128, 256, true, false},
                                            {12, 256, 256, false, false},
                                            {14, 256, 256, false, true},
                                            {17, 256, 512, true, false},
                                            {19, 512, 512, false, false},
                                            {21, 512, 512, false, true},
                                            {24, 512, 512, true, false},
                                            {26, 512, 512, false, false},
                                            {28, 512, 512, false, true}}};

Tensor read(const SafetensorsFile& file, const std::string& name, ParameterKind kind, const Shape& shape, DType dtype) {
  Tensor t = from_checkpoint(file.get(name), kind);
  if (t.shape() != shape)
    fail(Errc::format, file.path(), name, " has shape ", file.get(name).shape(), ", expected ", checkpoint_shape(shape, kind));
  return t.to(dtype).to(default_device());
}

}  // namespace

Lpips::Lpips(const SafetensorsFile& file, DType dtype) {
  NoGrad no_grad;
  for (const VggConv& v : vgg16) {
    std::string name = str("net.features.", v.number);
    Conv conv{read(file, name + ".weight", ParameterKind::conv, {v.out, 3, 3, v.in}, dtype),
              read(file, name + ".bias", ParameterKind::plain, {v.out}, dtype), v.tap, v.pool};
    // The division of the input by its scale goes into the first weight. The shift cannot: the convolution's padding lies outside it.
    if (v.number == 0) conv.weight = conv.weight / constant({.458, .448, .450}, {3}, dtype);
    conv.weight.set_constant();
    conv.bias.set_constant();
    convs_.push_back(std::move(conv));
    if (!v.tap) continue;
    Tensor head = read(file, str("lin", heads_.size(), ".weight"), ParameterKind::conv, {1, 1, 1, v.out}, dtype).reshape({v.out});
    heads_.push_back(head.set_constant());
  }
  minus_shift_ = constant({.030, .088, .188}, {3}, dtype);
}

Lpips::Features Lpips::features(const Tensor& x) const {
  check(x.rank() == 4 && x.dim(3) == 3 && x.dim(1) >= 16 && x.dim(2) >= 16, op, "the picture should be [B,H,W,3] of 16 pixels or more, got ",
        describe(x));
  Tensor h = bias_act(x, {.bias = minus_shift_, .slope = 1});
  Features taps;
  for (const Conv& conv : convs_) {
    if (conv.pool) h = max_pool2d(h, 2, 2);
    h = conv2d_bias_act(h, conv.weight, {.bias = conv.bias, .slope = 0}, {.pad = 1});
    if (conv.tap) taps.push_back(h);
  }
  return taps;
}

Tensor Lpips::distance(const Features& a, const Features& b) const {
  check(a.size() == heads_.size() && b.size() == heads_.size(), op, "features of ", a.size(), " and ", b.size(), " layers, expected ",
        heads_.size());
  Tensor total;
  for (std::size_t i = 0; i < heads_.size(); ++i) {
    Tensor term = lpips_head(a[i], b[i], heads_[i]);
    total = total ? total + term : term;
  }
  return total;
}

}  // namespace g2s
