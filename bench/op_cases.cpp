// Single operators in shapes that the networks run them in, so that a roofline can show where each one stands.
#include <memory>

#include "bench/network_cases.h"
#include "engine/autograd.h"
#include "kernels/adam/adam.h"
#include "kernels/bias_act/bias_act.h"
#include "kernels/conv/conv.h"
#include "kernels/depthwise_conv/depthwise_conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/grid_sample/grid_sample.h"
#include "kernels/group_norm/group_norm.h"
#include "kernels/haar/haar.h"
#include "kernels/lpips_head/lpips_head.h"
#include "kernels/matmul/matmul.h"
#include "kernels/modulated_conv/modulated_conv.h"
#include "kernels/pool/pool.h"
#include "kernels/random/random.h"
#include "kernels/resize/resize.h"
#include "kernels/separable_conv/separable_conv.h"
#include "kernels/smooth/smooth.h"
#include "kernels/upfirdn/upfirdn.h"

namespace g2s::bench {
namespace {

Tensor random(const Shape& shape, const char* stream) { return Random(0, stream).normal(shape); }
double size_of(const Tensor& t) { return static_cast<double>(t.numel()); }

// Runs f, which gives tensors; what it reads and gives back must be moved.
Body operator_body(std::function<std::vector<Tensor>()> f, const std::vector<Tensor>& read, double flops = 0) {
  Body body = [f] { f(); };
  body.flops = flops;
  for (const Tensor& t : f()) body.bytes += static_cast<double>(t.bytes());
  for (const Tensor& t : read) body.bytes += static_cast<double>(t.bytes());
  return body;
}

enum class Pass { forward, input_grad, weight_grad };

Body conv_case(std::int64_t batch, std::int64_t side, std::int64_t in, std::int64_t out, std::int64_t kernel, int stride, Pass pass) {
  const int pad = static_cast<int>((kernel - 1) / 2);
  Tensor x = random({batch, side, side, in}, "x"), w = random({out, kernel, kernel, in}, "w").set_constant();
  Tensor dy = random({batch, side / stride, side / stride, out}, "dy");
  ConvOptions options{.stride = stride, .pad = pad};
  switch (pass) {
    case Pass::forward: return operator_body([=] { return std::vector<Tensor>{conv2d(x, w, options)}; }, {x, w});
    case Pass::input_grad:
      return operator_body([=] { return std::vector<Tensor>{conv_transpose2d(dy, w, options, stride - 1)}; }, {dy, w});
    case Pass::weight_grad: break;
  }
  return operator_body([=] { return std::vector<Tensor>{conv2d_weight_grad(x, dy, kernel, kernel, options)}; }, {x, dy});
}

// One layer of the synthesis network: style, convolution, demodulation, noise, bias and activation.
Body modulated_case(std::int64_t batch, std::int64_t side, std::int64_t in, std::int64_t out, bool upsample) {
  const std::int64_t after = upsample ? 2 * side : side;
  Tensor x = random({batch, side, side, in}, "x").set_requires_grad(), style = random({batch, in}, "style").set_requires_grad();
  Tensor w = random({out, 3, 3, in}, "w").set_constant(), dy = random({batch, after, after, out}, "dy");
  BiasAct act;
  act.noise = random({1, after, after, 1}, "noise");
  act.noise_weight = random({1}, "weight");
  act.bias = random({out}, "bias");
  auto run = [=] {
    BiasAct a = act;
    a.scale = demodulation(w, style);
    Tensor y = bias_act(modulated_conv2d(x, w, style, {.upsample = upsample}), a);
    std::vector<Tensor> out_and_gradients = grad({y}, {x, style}, {dy});
    out_and_gradients.push_back(y);
    return out_and_gradients;
  };
  return operator_body(run, {x, w, dy, x, w});
}

// Forward and gradients of f to the inputs that want them.
Body gradient_case(const std::vector<Tensor>& inputs, std::function<Tensor()> f, double flops) {
  Tensor dy = random(f().shape(), "dy");
  std::vector<Tensor> wanted;
  for (const Tensor& t : inputs)
    if (t.requires_grad()) wanted.push_back(t);
  auto run = [=] {
    Tensor y = f();
    std::vector<Tensor> all = grad({y}, wanted, {dy});
    all.push_back(y);
    return all;
  };
  std::vector<Tensor> read = inputs;
  read.insert(read.end(), inputs.begin(), inputs.end());
  read.push_back(dy);
  return operator_body(run, read, flops);
}

Body bias_act_case() {
  Tensor x = random({16, 128, 128, 64}, "x").set_requires_grad();
  BiasAct act;
  act.bias = random({64}, "bias");
  return gradient_case({x}, [=] { return bias_act(x, act); }, 5 * size_of(x));
}

Body grid_sample_case() {
  Tensor x = random({1, 128, 128, 3}, "x").set_requires_grad();
  Tensor grid = Random(0, "grid").uniform({16, 128, 128, 2}, -1, 1).set_requires_grad();
  const double samples = 16.0 * 128 * 128;
  return gradient_case({x, grid}, [=] { return grid_sample(x, grid); }, samples * (3 * 7 + 3 * 20 + 20));
}

Body group_norm_case() {
  Tensor x = random({16, 64, 64, 64}, "x").set_requires_grad(), w = random({64}, "w").set_requires_grad(), b = random({64}, "b").set_requires_grad();
  return gradient_case({x, w, b}, [=] { return group_norm(x, 16, w, b, 1e-5, 0); }, 16 * size_of(x));
}

Body lpips_head_case() {
  Tensor a = random({16, 128, 128, 64}, "a").set_requires_grad(), b = random({16, 128, 128, 64}, "b"), head = random({64}, "head");
  return gradient_case({a, b}, [=] { return lpips_head(a, b, head); }, 20 * size_of(a));
}

Body max_pool_case() {
  Tensor x = random({16, 128, 128, 64}, "x").set_requires_grad();
  return gradient_case({x}, [=] { return max_pool2d(x, 2, 2); }, size_of(x));
}

Body blur_case() {
  Tensor x = random({16, 129, 129, 128}, "x").set_requires_grad();
  return gradient_case({x}, [=] { return upfirdn2d(x, fir_1331(), 4, 1, 1, {1, 1, 1, 1}); }, 2 * 16 * size_of(x));
}

Body resize_case() {
  Tensor x = random({16, 64, 64, 64}, "x").set_requires_grad();
  return gradient_case({x}, [=] { return resize_bilinear(x, 128, 128); }, 2 * 4 * 6 * size_of(x));
}

Body smooth_case() {
  Tensor x = random({16, 128, 128, 1}, "x").set_requires_grad();
  return gradient_case({x}, [=] { return smooth_loss(x); }, 24 * size_of(x));
}

Body adam_case() {
  std::vector<Tensor> parameters = {random({8 << 20}, "p")}, gradients = {random({8 << 20}, "g")};
  auto adam = std::make_shared<Adam>(parameters, AdamOptions{.weight_decay = 5e-4});
  Body body = [=] { adam->step(gradients); };
  body.flops = 15 * size_of(parameters[0]);
  body.bytes = 7 * static_cast<double>(parameters[0].bytes());  // parameter, gradient and two moments read, three of them written
  return body;
}

Body matmul_case(std::int64_t m, std::int64_t n, std::int64_t k) {
  Tensor a = random({m, k}, "a"), b = random({n, k}, "b").set_constant();
  return operator_body([=] { return std::vector<Tensor>{matmul(a, b, false, true)}; }, {a, b});
}

// What a layer of MobileStyleGAN does to style * x, alone or with the gradients to x and style.
Body styled_case(std::int64_t batch, std::int64_t side, std::int64_t channels, bool backward, double flops,
                 std::function<Tensor(const Tensor& x, const Tensor& style)> f) {
  Tensor x = random({batch, side, side, channels}, "x").set_requires_grad(backward);
  Tensor style = random({batch, channels}, "style").set_requires_grad(backward);
  if (backward) return gradient_case({x, style}, [=] { return f(x, style); }, flops);
  return operator_body([=] { return std::vector<Tensor>{f(x, style)}; }, {x}, flops);
}

Body depthwise_case(std::int64_t batch, std::int64_t side, std::int64_t channels, bool backward) {
  Tensor w = random({3, 3, channels}, "w").set_constant();
  return styled_case(batch, side, channels, backward, 0,
                     [=](const Tensor& x, const Tensor& style) { return depthwise_conv2d_modulated(x, style, w); });
}

Body haar_case(std::int64_t batch, std::int64_t side, std::int64_t channels, bool backward) {
  const double flops = static_cast<double>(batch * side * side * channels) * (backward ? 4 + 5 : 4);
  return styled_case(batch, side, channels, backward, flops,
                     [](const Tensor& x, const Tensor& style) { return haar_synthesis_modulated(x, style); });
}

Body separable_case(std::int64_t batch, std::int64_t side, std::int64_t channels, std::int64_t out, bool backward) {
  Tensor depthwise = random({3, 3, channels}, "depthwise").set_constant();
  Tensor pointwise = random({out, 1, 1, channels}, "pointwise").set_constant();
  BiasAct act;
  act.noise = random({1, side, side, 1}, "noise");
  act.noise_weight = Tensor::full({1}, 1);
  act.bias = random({out}, "bias");
  return styled_case(batch, side, channels, backward, 0, [=](const Tensor& x, const Tensor& style) {
    return separable_conv2d_bias_act(x, style, depthwise, pointwise, act);
  });
}

void add_small_network_cases(std::map<std::string, Setup>& all) {
  for (std::int64_t batch : {1, 8})
    for (std::int64_t side : {8, 16, 32, 64, 128})
      for (bool backward : {false, true}) {
        const std::int64_t channels = side < 128 ? 512 : 256;
        auto add = [&](const char* name, auto make) {
          const std::string full = str("op_", name, "_", batch, "x", side, "_", channels, backward ? "_fwdbwd" : "_fwd");
          all[full] = [=] { return make(batch, side, channels, backward); };
        };
        const auto same = [](std::int64_t b, std::int64_t s, std::int64_t c, bool back) { return separable_case(b, s, c, c, back); };
        const auto wider = [](std::int64_t b, std::int64_t s, std::int64_t c, bool back) { return separable_case(b, s, 128, c, back); };
        add("separable", same);
        if (side < 64) continue;
        add("separable_widening", wider);  // behind a Haar step
        add("depthwise", depthwise_case);
        add("haar", haar_case);
      }
}

}  // namespace

std::map<std::string, Setup> operator_cases() {
  std::map<std::string, Setup> all;
  struct Layer {
    const char* name;
    std::int64_t batch, side, in, out, kernel;
    int stride;
    bool trained;
  };
  const Layer layers[] = {{"vgg_16x128_64_64", 16, 128, 64, 64, 3, 1, false},   {"vgg_16x64_128_128", 16, 64, 128, 128, 3, 1, false},
                          {"vgg_16x32_256_256", 16, 32, 256, 256, 3, 1, false}, {"vgg_16x16_512_512", 16, 16, 512, 512, 3, 1, false},
                          {"vgg_1x128_64_64", 1, 128, 64, 64, 3, 1, false},     {"disc_1x64_256_512_down", 1, 64, 256, 512, 3, 2, false},
                          {"net_16x32_64_128_k4", 16, 32, 64, 128, 4, 2, true}, {"net_1x32_128_128_k5", 1, 32, 128, 128, 5, 1, true}};
  for (const Layer& l : layers) {
    auto add = [&](const char* pass_name, Pass pass) {
      all[str("op_conv_", l.name, pass_name)] = [=] { return conv_case(l.batch, l.side, l.in, l.out, l.kernel, l.stride, pass); };
    };
    if (l.kernel % 2 == 1) add("_fwd", Pass::forward), add("_dx", Pass::input_grad);
    if (l.trained) add("_dw", Pass::weight_grad);
  }
  all["op_styled_16x128_128_128_fwdbwd"] = [] { return modulated_case(16, 128, 128, 128, false); };
  all["op_styled_16x64_256_128_up_fwdbwd"] = [] { return modulated_case(16, 64, 256, 128, true); };
  all["op_styled_1x32_512_512_fwdbwd"] = [] { return modulated_case(1, 32, 512, 512, false); };
  all["op_matmul_16x512_512"] = [] { return matmul_case(16, 512, 512); };
  all["op_matmul_2048x1024_1024"] = [] { return matmul_case(2048, 1024, 1024); };
  all["op_bias_act_16x128_64_fwdbwd"] = bias_act_case;
  all["op_grid_sample_16x128_3_fwdbwd"] = grid_sample_case;
  all["op_group_norm_16x64_64_fwdbwd"] = group_norm_case;
  all["op_lpips_head_16x128_64_fwdbwd"] = lpips_head_case;
  all["op_max_pool_16x128_64_fwdbwd"] = max_pool_case;
  all["op_blur_16x129_128_fwdbwd"] = blur_case;
  all["op_resize_16x64_to_128_64_fwdbwd"] = resize_case;
  all["op_smooth_16x128_fwdbwd"] = smooth_case;
  all["op_adam_8M"] = adam_case;
  add_small_network_cases(all);
  return all;
}

}  // namespace g2s::bench
