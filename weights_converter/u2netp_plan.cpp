#include <array>
#include <cmath>

#include "engine/error.h"
#include "weights_converter/network_plans.h"
#include "weights_converter/scope.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

constexpr std::array<int, 6> heights = {7, 6, 5, 4, 0, 0};  // depth of stage N's U; 0: dilated, without pooling
constexpr std::int64_t wide = 64, narrow = 16;
constexpr double norm_eps = 1e-5;

struct Conv {
  std::string name;  // stage1.rebnconvin, side1, outconv
  Dims shape;        // of the weight
  bool block;        // followed by a batch norm in the original network
};

void add_stage(std::vector<Conv>& convs, const std::string& stage, int height, std::int64_t in) {
  const int count = height == 0 ? 4 : height;
  auto add = [&](const std::string& name, std::int64_t from, std::int64_t to) {
    convs.push_back({stage + ".rebnconv" + name, {to, from, 3, 3}, true});
  };
  add("in", in, wide);
  for (int k = 1; k <= count; ++k) add(str(k), k == 1 ? wide : narrow, narrow);
  for (int k = count - 1; k >= 1; --k) add(str(k, "d"), 2 * narrow, k == 1 ? wide : narrow);
}

// In the order in which the network runs.
std::vector<Conv> convolutions() {
  std::vector<Conv> convs;
  for (int n = 1; n <= 6; ++n) add_stage(convs, str("stage", n), heights[static_cast<std::size_t>(n - 1)], n == 1 ? 3 : wide);
  for (int n = 5; n >= 1; --n) add_stage(convs, str("stage", n, "d"), heights[static_cast<std::size_t>(n - 1)], 2 * wide);
  for (int n = 1; n <= 6; ++n) convs.push_back({str("side", n), {1, wide, 3, 3}, false});
  convs.push_back({"outconv", {1, 6, 1, 1}, false});
  return convs;
}

std::string our_name(const Conv& conv) { return conv.block ? conv.name + ".conv" : conv.name; }

bool fits(const OnnxConv& node, const Conv& conv) { return node.weight && node.bias && node.weight->shape == conv.shape; }

// The file names most of them by numbers only: the order says which is which.
void plan_onnx(const Checkpoint& checkpoint, PlanBuilder& builder) {
  const std::vector<Conv> convs = convolutions();
  if (checkpoint.convolutions.size() != convs.size())
    fail(Errc::format, checkpoint.path, "has ", checkpoint.convolutions.size(), " convolutions, U-2-Net-p has ", convs.size());
  for (std::size_t i = 0; i < convs.size(); ++i) {
    const OnnxConv& node = checkpoint.convolutions[i];
    if (!fits(node, convs[i]))
      fail(Errc::format, checkpoint.path, "convolution ", i, " (", printable(node.name), ") is not ", convs[i].name, " of U-2-Net-p with ",
           describe(NumberType::f32, convs[i].shape), " and a bias");
    builder.add(checkpoint.path, our_name(convs[i]) + ".weight", *node.weight, convs[i].shape);
    builder.add(checkpoint.path, our_name(convs[i]) + ".bias", *node.bias, {convs[i].shape[0]}, 1, 0, true);
  }
}

// y = (conv(x) - mean) * gamma / sqrt(var + eps) + beta, as one convolution.
void add_folded(const Scope& scope, const Conv& conv, PlanBuilder& builder) {
  const std::string norm = conv.name + ".bn_s1";
  const std::int64_t out = conv.shape[0];
  auto values = [&](const std::string& name, std::size_t rank) { return read_values(scope.get(name, rank)); };
  const SourceTensor& source = scope.get(conv.name + ".conv_s1.weight", 4);
  if (source.shape != conv.shape)
    fail(Errc::format, scope.path(), printable(source.name), " is ", describe(source.type, source.shape), ", in U-2-Net-p it is ",
         describe(NumberType::f32, conv.shape));
  const std::vector<double> weight = read_values(source), bias = values(conv.name + ".conv_s1.bias", 1), gamma = values(norm + ".weight", 1),
                            beta = values(norm + ".bias", 1), mean = values(norm + ".running_mean", 1), variance = values(norm + ".running_var", 1);
  for (const std::vector<double>* v : {&bias, &gamma, &beta, &mean, &variance})
    if (v->size() != static_cast<std::size_t>(out)) fail(Errc::format, scope.path(), conv.name, " has a batch norm of another width");
  std::vector<float> w(weight.size()), b(bias.size());
  const std::size_t per_channel = weight.size() / static_cast<std::size_t>(out);
  for (std::size_t o = 0; o < b.size(); ++o) {
    const double factor = gamma[o] / std::sqrt(variance[o] + norm_eps);
    b[o] = static_cast<float>((bias[o] - mean[o]) * factor + beta[o]);
    for (std::size_t i = o * per_channel; i < (o + 1) * per_channel; ++i) w[i] = static_cast<float>(weight[i] * factor);
  }
  builder.add(scope.path(), our_name(conv) + ".weight", make_tensor(source.name, conv.shape, w), conv.shape);
  builder.add(scope.path(), our_name(conv) + ".bias", make_tensor(conv.name + ".conv_s1.bias", {out}, b), {out}, 1, 0, true);
}

void plan_named(const Scope& scope, PlanBuilder& builder) {
  for (const Conv& conv : convolutions()) {
    if (conv.block && scope.has(conv.name + ".conv_s1.weight")) {
      add_folded(scope, conv, builder);
      continue;
    }
    const std::string name = our_name(conv);
    builder.add(scope.path(), name + ".weight", scope.get(name + ".weight", 4), conv.shape);
    builder.add(scope.path(), name + ".bias", scope.get(name + ".bias", 1), {conv.shape[0]}, 1, 0, true);
  }
}

std::vector<std::string> named_prefixes(const Checkpoint& checkpoint) {
  for (const char* first : {"stage1.rebnconvin.conv_s1.weight", "stage1.rebnconvin.conv.weight"})
    if (std::vector<std::string> found = prefixes_of(checkpoint, first); !found.empty()) return found;
  return {};
}

}  // namespace

bool is_u2netp(const Checkpoint& checkpoint) {
  if (checkpoint.format != Format::onnx) return !named_prefixes(checkpoint).empty();
  const std::vector<Conv> convs = convolutions();
  return checkpoint.convolutions.size() == convs.size() && fits(checkpoint.convolutions.front(), convs.front()) &&
         fits(checkpoint.convolutions.back(), convs.back());
}

ConversionPlan plan_u2netp(const Checkpoint& checkpoint, const Request& request) {
  ConversionPlan plan;
  PlanBuilder builder(plan, request);
  if (checkpoint.format == Format::onnx) {
    plan_onnx(checkpoint, builder);
  } else {
    const std::vector<std::string> prefixes = named_prefixes(checkpoint);
    if (prefixes.empty()) fail(Errc::format, checkpoint.path, "has no U-2-Net-p (stage1.rebnconvin..)");
    plan_named(Scope(checkpoint, prefixes[0]), builder);
  }
  plan.kind = "u2netp";
  plan.description = str("U-2-Net-p, ", plan.tensors.size() / 2, " convolutions, batch norms folded");
  plan.metadata["layers"] = str(plan.tensors.size() / 2);
  return plan;
}

}  // namespace g2s::convert
