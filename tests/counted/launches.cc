// Launches that stand for those of a fit, in f32, for tools/cuda_memory.py: small enough for the emulator, large enough that most requests are
// of whole warps. Results are compared with nothing here; the tables of cases do that.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/context.h"
#include "engine/autograd.h"
#include "engine/cuda/launches.h"
#include "engine/precision.h"
#include "kernels/adam/adam.h"
#include "kernels/bias_act/bias_act.h"
#include "kernels/conv/conv.h"
#include "kernels/depth_mesh/depth_mesh.h"
#include "kernels/depthwise_conv/depthwise_conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/geometry/geometry.h"
#include "kernels/grid_sample/grid_sample.h"
#include "kernels/group_norm/group_norm.h"
#include "kernels/haar/haar.h"
#include "kernels/lpips_head/lpips_head.h"
#include "kernels/matmul/matmul.h"
#include "kernels/matmul/math_mode.h"
#include "kernels/modulated_conv/modulated_conv.h"
#include "kernels/pool/pool.h"
#include "kernels/random/random.h"
#include "kernels/reduce/reduce.h"
#include "kernels/resize/resize.h"
#include "kernels/separable_conv/separable_conv.h"
#include "kernels/shape/shape.h"
#include "kernels/smooth/smooth.h"
#include "kernels/upfirdn/upfirdn.h"
#include "tests/support/cases.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;
using kernels::MathMode;

namespace {

Tensor input(const char* name, const Shape& shape, double scale = 1, double offset = 0) {
  return hashed_input(name, shape, DType::f32, scale, offset).to(test_device()).set_requires_grad();
}

// Forward, and the gradients to all of `inputs`.
void differentiate(const Tensor& y, const std::vector<Tensor>& inputs) {
  grad({y}, inputs, {hashed_input("dy", y.shape()).to(test_device())});
}

void convolve(const Shape& x_shape, const Shape& w_shape, ConvOptions options) {
  Tensor x = input("x", x_shape), w = input("w", w_shape, 0.1);
  differentiate(conv2d(x, w, options), {x, w});
}

// Each tile of each product, by elements too.
void convolutions() {
  convolve({1, 32, 32, 32}, {64, 3, 3, 32}, {1, 1, 1});
  convolve({1, 16, 16, 32}, {48, 4, 4, 32}, {2, 1, 1});
  convolve({1, 32, 32, 3}, {32, 3, 3, 3}, {1, 1, 1});
  convolve({1, 32, 32, 64}, {3, 1, 1, 64}, {1, 0, 1});
  convolve({1, 16, 16, 32}, {32, 3, 3, 32}, {1, 2, 2});
}

void large_products() {  // 132 tiles of 128 x 128
  differentiate(conv2d(input("x", {1, 92, 92, 32}), input("w", {256, 1, 1, 32}, 0.1).set_constant(), {1, 0, 1}), {});
  Tensor x = input("x", {1, 46, 46, 16});
  differentiate(conv_transpose2d(x, input("w", {16, 2, 2, 256}, 0.1), {2, 0, 1}), {x});
  Tensor a = input("a", {1540, 32}), b = input("b", {32, 1424});
  differentiate(matmul(a, b), {a, b});
}

void matrices() {
  for (int turned = 0; turned < 4; ++turned) {
    const bool ta = turned & 1, tb = turned & 2;
    Tensor a = input("a", ta ? Shape{128, 192} : Shape{192, 128}), b = input("b", tb ? Shape{128, 128} : Shape{128, 128});
    differentiate(matmul(a, b, ta, tb), {a, b});
    Tensor c = input("c", tb ? Shape{16, 128} : Shape{128, 16});
    differentiate(matmul(a, c, ta, tb), {a, c});
    Tensor odd = input("odd", ta ? Shape{63, 65} : Shape{65, 63}), odd_b = input("odd_b", tb ? Shape{67, 63} : Shape{63, 67});
    differentiate(matmul(odd, odd_b, ta, tb), {odd, odd_b});
  }
  Tensor latents = input("latents", {16, 512}), layer = input("layer", {512, 512});
  differentiate(matmul(latents, layer, false, true), {latents, layer});
}

void modulated() {
  for (bool upsample : {false, true})
    for (std::int64_t out : {64, 3}) {
      const std::int64_t side = 16, after = upsample ? 2 * side : side;
      Tensor x = input("x", {2, side, side, 64}), style = input("style", {2, 64}), w = input("w", {out, 3, 3, 64}, 0.1);
      BiasAct act;
      act.scale = demodulation(w, style);
      act.noise = input("noise", {1, after, after, 1}).detach();
      act.noise_weight = input("weight", {1});
      act.bias = input("bias", {out});
      differentiate(modulated_conv2d_bias_act(x, w, style, act, {.upsample = upsample}), {x, style, w, act.noise_weight, act.bias});
      act.noise_weight = act.noise_weight.detach();
      act.scale = act.scale.detach();
      differentiate(modulated_conv2d_bias_act(x, w.detach().set_constant(), style.detach(), act, {.upsample = upsample}), {x, act.bias});
    }
}

// The layers of a generator of depthwise convolutions.
void separable() {
  for (std::int64_t c : {64, 36, 33}) {
    Tensor x = input("x", {2, 16, 16, c}), style = input("style", {2, c}), w = input("w", {3, 3, c});
    differentiate(depthwise_conv2d(x, w), {x, w});
    differentiate(depthwise_conv2d_modulated(x, style, w), {x, style, w});
    Tensor bands = input("bands", {2, 8, 8, 4 * c}), band_style = input("band_style", {2, 4 * c});
    differentiate(haar_synthesis_modulated(bands, band_style), {bands, band_style});
    if (c != 64) continue;
    BiasAct act;
    act.noise = input("noise", {1, 16, 16, 1}).detach();
    act.noise_weight = input("weight", {1}).detach();
    act.bias = input("bias", {c}).detach();
    differentiate(separable_conv2d_bias_act(x, style, w.detach(), input("pointwise", {c, 1, 1, c}).detach(), act), {x, style});
  }
}

void modes() {
  for (MathMode mode : {MathMode::bf16, MathMode::tf32}) {
    const WithOverride with("G2S_CUDA_MATH", to_string(mode));
    convolutions();
    matrices();
    large_products();
  }
  const WithPrecision with(Precision::bf16);
  modulated();
}

// Over channels and pixels.
void channels() {
  for (std::int64_t c : {64, 33}) {
    Tensor x = input("x", {2, 32, 32, c}), bias = input("bias", {c}), scale = input("scale", {2, c});
    BiasAct act;
    act.bias = bias, act.scale = scale;
    differentiate(bias_act(x, act), {x, bias, scale});
    if (c == 64) {
      Tensor w = input("w", {c});
      differentiate(group_norm(x, 16, w, bias, 1e-5, 0), {x, w, bias});
      differentiate(max_pool2d(x, 2, 2), {x});
      differentiate(max_pool2d(x, 3, 2, true), {x});
      differentiate(avg_pool2d(x, 2), {x});
    }
    differentiate(upfirdn2d(x, fir_1331(), 4, 2, 1, {2, 1, 2, 1}), {x});
    differentiate(upfirdn2d(x, fir_1331(), 1, 1, 2, {1, 1, 1, 1}), {x});
    differentiate(resize_bilinear(x, 64, 64), {x});
  }
  for (std::int64_t c : {64, 128, 256, 512, 60}) {
    Tensor a = input("a", {2, 8, 8, c}), b = input("b", {2, 8, 8, c});
    differentiate(lpips_head(a, b, input("head", {c}).detach()), {a, b});
  }
  Tensor image = input("picture", {2, 64, 64, 3});
  differentiate(resize_area(image, 32, 32), {image});
  differentiate(upfirdn2d(image, fir_1331(), 4, 2, 1, {2, 1, 2, 1}), {image});
}

void shapes() {
  Tensor x = input("x", {2, 32, 32, 24});
  differentiate(nhwc_to_nchw(x), {x});
  differentiate(slice(x, 3, 4, 12), {x});
  differentiate(concat({x, x}, 3), {x});
  differentiate(pad(x, 1, 1, 2, 0.5), {x});
  differentiate(flip(x, 2), {x});
  for (const std::vector<int>& axes : {std::vector<int>{3}, {0, 1, 2}, {1, 2}, {0}, {0, 1, 2, 3}}) differentiate(sum(x, axes), {x});
  Tensor wide = input("wide", {8, 2048});
  differentiate(sum(wide, {1}), {wide});
  max_element(x), min_element(x);
  differentiate(dot_to(x, x, {1, 1, 1, 24}), {x});
  Tensor row = input("row", {24});
  differentiate(x * row + x, {x, row});
  differentiate(tanh(x) * sigmoid(x), {x});
  differentiate(x / (square(x) + 1), {x});
  Random random(0, "counted");
  const DefaultDevice guard(test_device());
  random.uniform({4096}), random.normal({4096});
  std::vector<Tensor> parameters = {input("p", {70000}), input("q", {300}), input("r", {7})};
  Adam(parameters, {.weight_decay = 1e-3}).step({input("dp", {70000}), input("dq", {300}), input("dr", {7})});
  x.detach().to(DType::bf16).to(DType::f64);
}

// A canonical depth map of a head, seen from aside, and its image.
void render() {
  const Threads one(1);  // lists of positions are made in the order in which blocks come
  const std::int64_t side = 48, batch = 2;
  const double c = static_cast<double>(side - 1) / 2;
  DepthMeshOptions mesh;
  mesh.camera = {c / std::tan(std::acos(-1.0) / 36), c, c};
  Tensor depth = Tensor::empty({1, side, side, 1}, DType::f32, Device{});
  for (std::int64_t i = 0; i < side * side; ++i) {
    const double x = (static_cast<double>(i % side) - c) / c, y = (static_cast<double>(i / side) - c) / c;
    depth.mutable_data<float>()[i] = static_cast<float>(1.04 - 0.12 * std::exp(-2 * (x * x + y * y)));
  }
  depth = depth.to(test_device()).set_requires_grad();
  Tensor angles = input("angles", {batch, 3}, 0.3), shift = input("shift", {batch, 3}, 0.05), texture = input("texture", {1, side, side, 3});
  const Tensor rotation = rotation_matrix(angles), points = rigid_transform(unproject(depth, mesh.camera), rotation, shift, 1);
  const Tensor seen = rasterize_depth_mesh(points, mesh);
  const Tensor grid = project_to_grid(rigid_transform(unproject(seen, mesh.camera), rotation, shift, 1, true), mesh.camera);
  differentiate(grid_sample(texture, grid), {depth, angles, shift, texture});
  differentiate(grid_sample(texture, grid.detach(), Sampling::nearest), {texture});
  differentiate(normals_from_depth(depth, mesh.camera), {depth});
  differentiate(smooth_loss(depth), {depth});
}

void check_coverage() {
  std::ifstream in(source_path("tests/golden/launches.json"));
  const auto launched = cuda::launches();
  const auto golden = nlohmann::json::parse(in);
  for (const auto& [trace, kernels] : golden.items())
    for (const auto& [kernel, count] : kernels.items()) CHECK_MESSAGE(launched.count(kernel), kernel, " is not among the launches that are counted");
}

}  // namespace

TEST_CASE("launches like a fit's" * doctest::skip(no_test_device())) {
  cuda::forget_launches();
  convolutions();
  large_products();
  matrices();
  modulated();
  separable();
  modes();
  channels();
  shapes();
  render();
  check_coverage();
}
