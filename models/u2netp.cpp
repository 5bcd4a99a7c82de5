#include "models/u2netp.h"

#include <array>
#include <vector>

#include "engine/autograd.h"
#include "engine/constant.h"
#include "kernels/bias_act/bias_act.h"
#include "kernels/conv/conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/pool/pool.h"
#include "kernels/reduce/reduce.h"
#include "kernels/resize/resize.h"
#include "kernels/shape/shape.h"

namespace g2s {
namespace {

constexpr const char* op = "u2netp";
constexpr std::int64_t input_side = 320;
constexpr std::array<int, 6> heights = {7, 6, 5, 4, 0, 0};  // depth of stage N's U; 0: dilated, without pooling

Tensor bilinear_as(const Tensor& x, const Tensor& like) {
  return x.dim(1) == like.dim(1) && x.dim(2) == like.dim(2) ? x : resize_bilinear(x, like.dim(1), like.dim(2));
}

// Each axis by the method's rule: bilinear where it grows, averages where it shrinks.
Tensor resize_axes(const Tensor& x, std::int64_t height, std::int64_t width) { return resize(resize(x, height, x.dim(2)), height, width); }

Tensor halve(const Tensor& x) { return max_pool2d(x, 2, 2, true); }

}  // namespace

U2NetP::U2NetP(const SafetensorsFile& file, DType dtype) {
  NoGrad no_grad;
  auto read = [&](const std::string& name) {
    std::string stored = file.contains(name + ".conv.weight") ? name + ".conv" : name;
    Conv conv{from_checkpoint(file.get(stored + ".weight"), ParameterKind::conv).to(dtype).to(default_device()),
              from_checkpoint(file.get(stored + ".bias"), ParameterKind::plain).to(dtype).to(default_device())};
    if (conv.weight.rank() != 4 || conv.bias.shape() != Shape{conv.weight.dim(0)})
      fail(Errc::format, file.path(), stored, " has a weight ", describe(conv.weight), " and a bias ", describe(conv.bias));
    conv.weight.set_constant();
    conv.bias.set_constant();
    convs_[name] = std::move(conv);
  };
  auto read_stage = [&](const std::string& stage, int height) {
    int convs = height == 0 ? 4 : height;
    read(stage + ".rebnconvin");
    for (int k = 1; k <= convs; ++k) read(str(stage, ".rebnconv", k));
    for (int k = 1; k < convs; ++k) read(str(stage, ".rebnconv", k, "d"));
  };
  for (int n = 1; n <= 6; ++n) {
    int height = heights[static_cast<std::size_t>(n - 1)];
    read_stage(str("stage", n), height);
    if (n < 6) read_stage(str("stage", n, "d"), height);
    read(str("side", n));
  }
  read("outconv");
}

Tensor U2NetP::conv(const std::string& name, const Tensor& x, int dilation, double slope) const {
  const Conv& layer = convs_.at(name);
  const int pad = dilation * static_cast<int>(layer.weight.dim(1) / 2);
  return bias_act(conv2d(x, layer.weight, {.pad = pad, .dilation = dilation}), {.bias = layer.bias, .slope = slope});
}

// A U of `height` levels with a residual around it: halving after each of the first height-2 convolutions, a dilated one at the bottom.
Tensor U2NetP::block(const std::string& stage, const Tensor& x, int height) const {
  Tensor in = conv(stage + ".rebnconvin", x), h = in;
  std::vector<Tensor> down;
  for (int k = 1; k < height; ++k) {
    if (k > 1) h = halve(h);
    h = conv(str(stage, ".rebnconv", k), h);
    down.push_back(h);
  }
  h = conv(str(stage, ".rebnconv", height), h, 2);
  for (int k = height - 1; k >= 1; --k) {
    const Tensor& same_level = down[static_cast<std::size_t>(k - 1)];
    h = conv(str(stage, ".rebnconv", k, "d"), concat({bilinear_as(h, same_level), same_level}, 3));
  }
  return h + in;
}

Tensor U2NetP::dilated_block(const std::string& stage, const Tensor& x) const {
  Tensor in = conv(stage + ".rebnconvin", x);
  Tensor h1 = conv(stage + ".rebnconv1", in), h2 = conv(stage + ".rebnconv2", h1, 2), h3 = conv(stage + ".rebnconv3", h2, 4);
  Tensor h = conv(stage + ".rebnconv4", h3, 8);
  h = conv(stage + ".rebnconv3d", concat({h, h3}, 3), 4);
  h = conv(stage + ".rebnconv2d", concat({h, h2}, 3), 2);
  return conv(stage + ".rebnconv1d", concat({h, h1}, 3)) + in;
}

Tensor U2NetP::saliency(const Tensor& x) const {
  check(x.rank() == 4 && x.dim(3) == 3 && x.dim(1) > 32 && x.dim(2) > 32, op, "the picture should be [B,H,W,3] of 33 pixels or more, got ",
        describe(x));
  auto stage = [&](int n, const char* suffix, const Tensor& in) {
    std::string name = str("stage", n, suffix);
    int height = heights[static_cast<std::size_t>(n - 1)];
    return height == 0 ? dilated_block(name, in) : block(name, in, height);
  };
  std::vector<Tensor> encoded;
  Tensor h = x;
  for (int n = 1; n <= 6; ++n) {
    if (n > 1) h = halve(h);
    h = stage(n, "", h);
    encoded.push_back(h);
  }
  std::vector<Tensor> sides(6);
  sides[5] = side("side6", h);
  for (int n = 5; n >= 1; --n) {
    const Tensor& same_level = encoded[static_cast<std::size_t>(n - 1)];
    h = stage(n, "d", concat({bilinear_as(h, same_level), same_level}, 3));
    sides[static_cast<std::size_t>(n - 1)] = side(str("side", n), h);
  }
  for (Tensor& s : sides) s = bilinear_as(s, sides[0]);
  return sigmoid(side("outconv", concat(sides, 3)));
}

Tensor U2NetP::probability(const Tensor& image) const {
  check(image.rank() == 3 && image.dim(2) == 3, op, "the image should be [H,W,3], got ", describe(image));
  NoGrad no_grad;
  std::int64_t height = image.dim(0), width = image.dim(1);
  DType dtype = convs_.at("outconv").weight.dtype();
  Tensor x = image.to(dtype).reshape({1, height, width, 3}) * 0.5 + 0.5;
  x = resize_axes(x, input_side, input_side);
  double brightest = max_element(x).item();
  const Tensor imagenet_mean = constant({0.485, 0.456, 0.406}, {3}, dtype), imagenet_sd = constant({0.229, 0.224, 0.225}, {3}, dtype);
  x = (x * (1 / std::max(brightest, 1e-6)) - imagenet_mean) / imagenet_sd;
  Tensor p = saliency(x);
  double lo = min_element(p).item(), range = max_element(p).item() - lo;
  if (range < 1e-6) fail(Errc::invalid_argument, op, "nothing stands out in the picture: give a mask");
  p = (p - lo) * (1 / range);
  return resize_axes(p, height, width).reshape({height, width});
}

Tensor U2NetP::mask(const Tensor& image) const { return greater_equal(probability(image), 0.5); }

}  // namespace g2s
