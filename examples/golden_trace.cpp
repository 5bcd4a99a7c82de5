#include "examples/golden_trace.h"

#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/files.h"
#include "engine/hashed_tensor.h"
#include "engine/image.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"

namespace g2s::example {
namespace {

const std::string folder = G2S_SOURCE_DIR "/tests/golden/";

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

Tensor read_images(const nlohmann::json& names, bool masks) {
  std::vector<Tensor> all;
  for (const std::string name : names) {
    const Tensor pixels = read_image(folder + name).rgb.to(DType::f64) / 255;
    all.push_back(masks ? slice(pixels, 3, 0) : pixels * 2 - 1);
  }
  return concat(all, 0);
}

Tensor matrix(const nlohmann::json& rows) {
  std::vector<Tensor> all;
  for (const std::vector<double> row : rows) all.push_back(Tensor::from(row, {1, static_cast<std::int64_t>(row.size())}));
  return concat(all, 0);
}

// Each loss, and for each network the length of its gradient and of its update. Six numbers begin with a length.
std::map<std::string, double> summary(const NamedTensors& values) {
  std::map<std::string, double> out;
  for (const auto& [name, x] : values) {
    const double first = slice(x.reshape({Tensor::infer}), 0, 0).item();
    if (contains(name, "/loss/")) out[name] = first;
    if (!contains(name, "/grad/") && !contains(name, "/update/")) continue;
    double& length = out[name.substr(0, name.find("/network."))];
    length = std::hypot(length, first);
  }
  return out;
}

// How far from the reference a number may be, relative to it. Adam's first update is little more than the sign of the
// gradient, and near 0 the sign of a gradient is chance.
double tolerance(const std::string& name) { return contains(name, "/loss/") ? 1e-4 : contains(name, "/grad/") ? 2e-3 : 1e-2; }

}  // namespace

Inputs golden_inputs(DType dtype) {
  const nlohmann::json given = nlohmann::json::parse(read_file(folder + "synface64.json"));
  const nlohmann::json &step2 = given.at("step2"), &step3 = given.at("step3");
  const Tensor latent = (0.5 * hashed_tensor("latent_w", {1, 512})).to(DType::f32);
  return {read_images({given.at("image")}, false).to(dtype), latent.to(dtype),
          matrix(step2.at("views")).to(dtype),               matrix(step2.at("lights")).to(dtype),
          read_images(step3.at("images"), false).to(dtype),  read_images(step3.at("masks"), true).to(dtype)};
}

void fill_hashed(const std::string& net, const std::vector<Parameter>& weights, const std::vector<int>& fan_in, double last_scale, bool smooth) {
  int after = 0;  // convolutions behind this one
  for (std::size_t i = weights.size(); i-- > 0;) {
    const Parameter& w = weights[i];
    Tensor x = hashed_tensor(net + "/" + w.name, checkpoint_shape(w.value.shape(), w.kind)), value = w.value;
    if (fan_in[i] > 0) {
      if (smooth && after < 3) x = slice(slice(x, 2, 0), 3, 0) + 0.25 * x;
      x = x * (std::sqrt(3.0) * std::sqrt(2.0 / fan_in[i]) * (after == 0 ? last_scale : 1));
      ++after;
    } else {
      x = affine(x, 0.1, w.name.ends_with(".weight") ? 1 : 0);  // group norms, biases
    }
    copy_into(value, from_checkpoint(x.to(DType::f32), w.kind).to(value.dtype()));
  }
}

void Record::add(const std::string& prefix, const std::vector<std::pair<std::string, Tensor>>& values) {
  for (const auto& [name, x] : values) {
    const Tensor y = x.detach().to(DType::f32);
    values_.emplace_back(prefix + name, y.rank() == 4 ? nhwc_to_nchw(y) : y.rank() == 0 ? y.reshape({1}) : y);
  }
}

// Length, product with numbers that are made from the weight's name, the first four.
void Record::add_six(const std::string& prefix, const std::string& weight, const Tensor& value, ParameterKind kind) {
  const Tensor flat = to_checkpoint(value, kind).to(DType::f64).reshape({Tensor::infer});
  const Tensor length = sqrt(sum(square(flat))), product = sum(flat * hashed_tensor("dot:" + weight, flat.shape()));
  add(prefix, {{weight, concat({length.reshape({1}), product.reshape({1}), slice(flat, 0, 0, 4)}, 0)}});
}

void Record::add_update(const std::string& step, const std::string& net, const std::vector<Parameter>& weights, const Tensor* before,
                        const Tensor* gradients, double learning_rate) {
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const std::string name = net + "/" + weights[i].name;
    const Tensor now = weights[i].value.detach(), change = now.to(DType::f64) - before[i].to(DType::f64);
    add_six(step + "/grad/", name, gradients[i], weights[i].kind);
    add_six(step + "/param/", name, now, weights[i].kind);
    add_six(step + "/update/", name, change / learning_rate, weights[i].kind);
  }
}

bool agree_with_golden(const Record& f64, const Record& f32) {
  const SafetensorsFile file(folder + "synface64.safetensors");
  NamedTensors reference;
  for (const auto& entry : file.entries())
    if (entry.name.starts_with("f64/step")) reference.emplace_back(entry.name.substr(4), file.get(entry.name));
  std::map<std::string, double> a = summary(f64.values()), b = summary(f32.values());
  int differ = 0;
  std::printf("%-28s %14s %14s %14s\n", "", "reference", "f64", "f32");
  for (const auto& [name, want] : summary(reference)) {
    const double allowed = tolerance(name) * want;
    const bool near = std::abs(a[name] - want) <= allowed && std::abs(b[name] - want) <= allowed;
    std::printf("%-28s %14.7g %14.7g %14.7g%s\n", name.c_str(), want, a[name], b[name], near ? "" : "  differs");
    differ += near ? 0 : 1;
  }
  if (differ > 0) std::printf("%d differ.\n", differ);
  else std::printf("All agree.\n");
  return differ == 0;
}

}  // namespace g2s::example
