#include "models/face/stored_network.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/autograd.h"
#include "engine/context.h"
#include "engine/module.h"
#include "engine/parallel.h"
#include "kernels/conv/conv.h"
#include "kernels/depthwise_conv/depthwise_conv.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/pool/pool.h"
#include "kernels/separable_conv/separable_conv.h"
#include "kernels/shape/shape.h"

namespace g2s {
namespace {

using nlohmann::json;

using Values = std::vector<Tensor>;
using Operator = std::function<Tensor(const Values&)>;

// TensorFlow's "same": what is odd goes behind.
Tensor padded(const Tensor& x, int axis, std::int64_t kernel, std::int64_t stride) {
  const std::int64_t size = x.dim(axis), total = std::max<std::int64_t>(((size + stride - 1) / stride - 1) * stride + kernel - size, 0);
  return total == 0 ? x : pad(x, axis, total / 2, total - total / 2);
}

// Rows and columns 1, 3, 5 and so on: where "same" lies that a convolution of 3x3 taps with stride 2 has of an even size.
Tensor odd_pixels(const Tensor& x) {
  const std::int64_t h = x.dim(1), w = x.dim(2), c = x.dim(3);
  check(h % 2 == 0 && w % 2 == 0, "odd_pixels", "of an even number of rows and columns, got ", describe(x));
  const Tensor rows = slice(x.reshape({h / 2, 2, w, c}), 1, 1);
  return slice(rows.reshape({h / 2 * (w / 2), 2, c}), 1, 1).reshape({1, h / 2, w / 2, c});
}

Tensor depthwise(const Tensor& x, const Tensor& w, std::int64_t stride) {
  const Tensor y = depthwise_conv2d(x, w);
  return stride == 2 ? odd_pixels(y) : y;
}

// y = s where that is positive, else slope s, of s = a + b, or of a alone where b is undefined. Slopes [C], or one for all. One pass: these
// networks are bound by memory.
Tensor rectified(const Tensor& a, const Tensor& b, const Tensor& slope) {
  const std::int64_t channels = a.dim(-1), pixels = a.numel() / channels, step = slope.numel() == 1 ? 0 : 1;
  check((!b.defined() || b.shape() == a.shape()) && (step == 0 || slope.numel() == channels), "rectified", describe(a), " does not fit");
  Tensor y = Tensor::empty(a.shape(), DType::f32, Device{});
  const float *p = a.data<float>(), *q = b.defined() ? b.data<float>() : nullptr;
  std::vector<float> slopes(static_cast<std::size_t>(channels));
  for (std::int64_t k = 0; k < channels; ++k) slopes[static_cast<std::size_t>(k)] = slope.data<float>()[k * step];
  const float* m = slopes.data();
  float* to = y.mutable_data<float>();
  parallel_blocks(pixels, std::max<std::int64_t>(1, (1 << 14) / channels), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin * channels; i < end * channels; i += channels)
      for (std::int64_t k = 0; k < channels; ++k) {
        const float s = q ? p[i + k] + q[i + k] : p[i + k];
        to[i + k] = std::max(s, 0.f) + m[k] * std::min(s, 0.f);
      }
  });
  return y;
}

}  // namespace

// Turns the list of a file into steps. A depthwise convolution and the 1x1 convolution behind it are one step.
class StoredNetworkReader {
 public:
  StoredNetworkReader(const SafetensorsFile& file, StoredNetwork& network) : file_(file), network_(network) {}

  void read(const json& graph) {
    const json& input = graph.at("inputs").at(0);
    network_.side_ = input.at("shape").at(1).get<std::int64_t>();
    values_[input.at("name")] = 0;
    for (const json& node : graph.at("operators"))
      for (const json& name : node.at("inputs"))
        if (name.is_string()) ++readers_[name];
    for (const json& output : graph.at("outputs")) ++readers_[output.at("name")];
    for (const json& node : graph.at("operators")) add(node);
    if (!waiting_.empty()) fail_format(waiting_.begin()->first, "is read by no convolution");
    for (const json& output : graph.at("outputs")) network_.outputs_.push_back(value(output.at("name")));
    forget();
  }

 private:
  struct Depthwise {
    std::size_t input;
    Tensor weight, bias;  // [3,3,C], [C]
    std::int64_t stride;
  };

  [[noreturn]] void fail_format(const std::string& name, const std::string& what) const {
    fail(Errc::format, file_.path(), "the operator ", name, " ", what);
  }

  Tensor constant(const json& name) const {
    Tensor t = file_.get(name.get<std::string>());
    if (t.dtype() != DType::i32) t = from_checkpoint(t, ParameterKind::plain).to(Device{});
    return t.clone().set_constant();
  }

  std::size_t value(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) fail_format(name, "is read before it is computed");
    return found->second;
  }

  void add(const json& node) {
    const std::string kind = node.at("op"), name = node.at("outputs").at(0);
    const json& options = node.at("options");
    const json& inputs = node.at("inputs");
    if (kind == "DEPTHWISE_CONV_2D") return add_depthwise(name, inputs, options);
    if (kind == "CONV_2D" && waiting_.contains(inputs.at(0))) return add_separable(name, inputs, options);
    if (kind == "RELU") return add_rectifier(name, inputs.at(0), Tensor::zeros({1}));
    if (kind == "PRELU") return add_rectifier(name, inputs.at(0), constant(inputs.at(1)));
    if (activation(name, options) != "none") fail_format(name, "has an activation of its own");
    std::vector<std::size_t> from = {value(inputs.at(0))};
    if (kind == "ADD" || kind == "CONCATENATION")
      for (std::size_t i = 1; i < inputs.size(); ++i) from.push_back(value(inputs[i]));
    push(name, single(kind, name, inputs, options), std::move(from));
    if (kind == "ADD" && readers_[name] == 1) sums_[name] = network_.steps_.size() - 1;
  }

  // With the sum before it, where nobody else reads that, it is one step.
  void add_rectifier(const std::string& name, const std::string& input, const Tensor& slope) {
    if (const auto sum = sums_.find(input); sum != sums_.end()) {
      StoredNetwork::Step& step = network_.steps_[sum->second];
      check(step.inputs.size() == 2, "stored network", input, " is no sum of two");
      step.run = [slope](const Values& x) { return rectified(x[0], x[1], slope); };
      values_[name] = values_.at(input);
      return;
    }
    push(name, [slope](const Values& x) { return rectified(x[0], {}, slope); }, {value(input)});
  }

  Operator single(const std::string& kind, const std::string& name, const json& inputs, const json& options) const {
    if (kind == "CONV_2D") return convolution(name, inputs, options);
    if (kind == "MAX_POOL_2D") return pooling(name, options);
    if (kind == "PAD") return padding(inputs);
    if (kind == "ADD") return [](const Values& x) { return x[0] + x[1]; };
    if (kind == "CONCATENATION") {
      const int axis = options.at("axis");
      return [axis](const Values& x) { return concat(x, axis); };
    }
    if (kind == "RESHAPE") {
      const std::vector<std::int64_t> sizes = options.at("shape");
      if (sizes.size() != 3 || sizes[0] != 1 || sizes[1] != -1) fail_format(name, "gives a shape that is not [1, -1, N]");
      return [n = sizes[2]](const Values& x) { return x[0].reshape({1, Tensor::infer, n}); };
    }
    fail_format(name, "is of the unknown kind " + kind);
  }

  std::string activation(const std::string& name, const json& options) const {
    const std::string kind = options.value("activation", "none");
    if (kind != "none" && kind != "relu") fail_format(name, "has the unknown activation " + kind);
    return kind;
  }

  std::int64_t stride_of(const std::string& name, const json& options) const {
    const std::int64_t stride = options.at("stride").at(0);
    if (options.at("stride").at(1) != stride || stride < 1) fail_format(name, "has different strides");
    if (options.contains("dilation") && options.at("dilation") != json{1, 1}) fail_format(name, "is dilated");
    return stride;
  }

  Operator convolution(const std::string& name, const json& inputs, const json& options) const {
    const Tensor w = constant(inputs.at(1)), bias = constant(inputs.at(2));
    const std::int64_t stride = stride_of(name, options), kernel = w.dim(1);
    const bool same = options.at("padding") == "same";
    return [=](const Values& x) {
      const Tensor in = same ? padded(padded(x[0], 1, kernel, stride), 2, kernel, stride) : x[0];
      return conv2d_bias_act(in, w, {.bias = bias, .slope = 1}, {.stride = static_cast<int>(stride)});
    };
  }

  Operator pooling(const std::string& name, const json& options) const {
    if (options.at("filter") != options.at("stride")) fail_format(name, "has windows that overlap");
    return [k = static_cast<int>(stride_of(name, options))](const Values& x) { return max_pool2d(x[0], k, k); };
  }

  Operator padding(const json& inputs) const {
    const std::vector<std::int32_t> amounts = constant(inputs.at(1)).to_vector<std::int32_t>();
    return [amounts](const Values& x) {
      Tensor y = x[0];
      for (int axis = 0; axis < y.rank(); ++axis) {
        const auto at = static_cast<std::size_t>(2 * axis);
        if (amounts.at(at) != 0 || amounts.at(at + 1) != 0) y = pad(y, axis, amounts[at], amounts[at + 1]);
      }
      return y;
    };
  }

  // Waits for the convolution that reads it.
  void add_depthwise(const std::string& name, const json& inputs, const json& options) {
    const Tensor w = constant(inputs.at(1));
    const std::int64_t stride = stride_of(name, options);
    const bool known = w.rank() == 4 && w.dim(1) == 3 && w.dim(2) == 3 && stride <= 2 && options.at("padding") == "same";
    if (!known || activation(name, options) != "none" || readers_[name] != 1)
      fail_format(name, "is a depthwise convolution of an unknown form");
    Tensor taps = w.reshape({3, 3, w.dim(3)}).clone();
    waiting_[name] = {value(inputs.at(0)), taps.set_constant(), constant(inputs.at(2)), stride};
  }

  // The first bias goes through the 1x1 convolution into the second one.
  void add_separable(const std::string& name, const json& inputs, const json& options) {
    const Depthwise first = waiting_.at(inputs.at(0));
    waiting_.erase(inputs.at(0));
    const Tensor w = constant(inputs.at(1));
    if (w.dim(1) != 1 || w.dim(2) != 1 || stride_of(name, options) != 1) fail_format(name, "is no 1x1 convolution behind a depthwise one");
    const Tensor through = conv2d(first.bias.reshape({1, 1, 1, first.bias.numel()}), w);
    const BiasAct act{.bias = (through.reshape({w.dim(0)}) + constant(inputs.at(2))).detach().clone().set_constant(),
                      .slope = activation(name, options) == "relu" ? 0.0 : 1.0};
    push(name,
         [first, w, act](const Values& x) {
           if (first.stride == 1) return separable_conv2d_bias_act(x[0], {}, first.weight, w, act);
           return conv2d_bias_act(depthwise(x[0], first.weight, first.stride), w, act);
         },
         {first.input});
  }

  void push(const std::string& name, Operator op, std::vector<std::size_t> inputs) {
    network_.steps_.push_back({std::move(op), std::move(inputs), {}});
    values_[name] = network_.steps_.size();
  }

  void forget() {
    std::map<std::size_t, std::size_t> last;  // of each value the step that reads it last
    for (std::size_t i = 0; i < network_.steps_.size(); ++i)
      for (std::size_t v : network_.steps_[i].inputs) last[v] = i;
    for (std::size_t v : network_.outputs_) last.erase(v);
    for (const auto& [v, step] : last) network_.steps_[step].last.push_back(v);
  }

  const SafetensorsFile& file_;
  StoredNetwork& network_;
  std::map<std::string, std::size_t> values_, readers_;
  std::map<std::string, std::size_t> sums_;  // steps that add, and whose sum is read once
  std::map<std::string, Depthwise> waiting_;
};

StoredNetwork::StoredNetwork(const SafetensorsFile& file) {
  const NoGrad no_grad;
  const DefaultDevice host{Device{}};
  const WithPrecision exact(Precision::f32);
  const auto graph = file.metadata().find("graph");
  if (graph == file.metadata().end()) fail(Errc::format, file.path(), "has no `graph`, the list of the network's operators");
  try {
    StoredNetworkReader(file, *this).read(json::parse(graph->second));
  } catch (const json::exception& e) {
    fail(Errc::format, file.path(), "its list of operators cannot be understood (", e.what(), ")");
  }
}

std::vector<Tensor> StoredNetwork::operator()(const Tensor& x) const {
  const NoGrad no_grad;
  const DefaultDevice host{Device{}};
  const WithPrecision exact(Precision::f32);
  std::vector<Tensor> values = {x};
  for (const Step& step : steps_) {
    std::vector<Tensor> inputs;
    for (std::size_t v : step.inputs) inputs.push_back(values[v]);
    values.push_back(step.run(inputs));
    for (std::size_t v : step.last) values[v] = {};
  }
  std::vector<Tensor> out;
  for (std::size_t v : outputs_) out.push_back(values[v]);
  return out;
}

}  // namespace g2s
