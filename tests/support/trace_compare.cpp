#include "tests/support/trace_compare.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

namespace g2s::test {
namespace {

using Values = std::vector<double>;
constexpr double infinite = std::numeric_limits<double>::infinity();

Values values(const Tensor& t) {
  Values out;
  if (t.dtype() == DType::f32) for (float v : t.to_vector<float>()) out.push_back(v);
  else if (t.dtype() == DType::f64) out = t.to_vector<double>();
  else for (std::int32_t v : t.to_vector<std::int32_t>()) out.push_back(v);
  return out;
}

double largest(const Values& v) {
  double out = 0;
  for (double x : v) out = std::max(out, std::abs(x));
  return out;
}

// As NumPy: linear between the neighbours.
double percentile(Values v, double share) {
  std::sort(v.begin(), v.end());
  const double at = share * static_cast<double>(v.size() - 1);
  const auto i = static_cast<std::size_t>(at);
  return i + 1 < v.size() ? v[i] + (at - static_cast<double>(i)) * (v[i + 1] - v[i]) : v[i];
}

struct Golden {
  const SafetensorsFile& file;
  Values get(const std::string& name) const { return values(file.get(name)); }
  // How far float32 runs were from the float64 run: six numbers have [of the norm, largest of all], others one difference per element.
  std::optional<Values> noise(const std::string& name) const {
    if (file.contains("noise/" + name)) return get("noise/" + name);
    if (!file.contains("f32/" + name)) return std::nullopt;
    Values a = get("f64/" + name), b = get("f32/" + name);
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = std::abs(a[i] - b[i]);
    return a;
  }
};

TraceItem image_of(const std::string& name, const Golden& golden, const Tensor& got) {
  const Tensor stored = golden.file.get("f64/" + name);
  const Values want = values(stored), meta = golden.get("meta/" + name), have = values(got);
  const double lo = meta[0], range = meta[1] - meta[0];
  const auto step = static_cast<std::int64_t>(meta[2]);
  auto kept = [&](std::int64_t n) { return (n + step - 1) / step; };
  if (got.rank() != 4 || Shape{got.dim(0), got.dim(1), kept(got.dim(2)), kept(got.dim(3))} != stored.shape()) {
    return {name, infinite, str("shape ", got.shape(), ", wanted ", stored.shape(), " times ", step)};
  }
  Values errors;
  const std::int64_t h = got.dim(2), w = got.dim(3), planes = got.dim(0) * got.dim(1);
  std::size_t i = 0;
  for (std::int64_t p = 0; p < planes; ++p) {
    for (std::int64_t y = 0; y < h; y += step) {
      for (std::int64_t x = 0; x < w; x += step) {
        errors.push_back(std::abs(lo + want[i++] / 65535 * range - have[static_cast<std::size_t>((p * h + y) * w + x)]));
      }
    }
  }
  const double allowed = 1e-3 * range + 3 * meta[3], e = percentile(errors, 0.995);
  return {name, e / allowed, str("99.5th percentile ", e, ", allowed ", allowed, ", largest ", largest(errors), ", range ", lo, "..", meta[1])};
}

// The tolerance of each of an item's numbers, or what it is multiplied with: {of the norm, of the other five}.
Values tolerances(const std::string& name, const std::string& kind, const Values& want, const Values& noise) {
  if (kind == "loss") return Values(want.size(), 1e-4 * largest(want));
  if (kind == "vector") {
    const bool gradient = name.find("/grad_") != std::string::npos;
    return Values(want.size(), (gradient ? 1e-2 : 1e-3) * largest(want) + 3 * largest(noise));
  }
  static const std::map<std::string, std::pair<double, double>> six = {
      {"grad", {2e-3, 1e-2}}, {"param", {1e-3, 1e-3}}, {"update", {1e-2, 2e-2}}, {"six", {1e-3, 1e-3}}};
  const auto [of_norm, of_rest] = six.at(kind);
  const double norm = std::max(want[0], 1e-30);
  Values out(6, of_rest * norm + 3 * noise[1]);
  out[0] = of_norm * norm + 3 * noise[0];
  return out;
}

TraceItem numbers(const std::string& name, const std::string& kind, const Golden& golden, const Tensor& got) {
  const Values want = golden.get("f64/" + name), have = values(got);
  if (want.size() != have.size()) return {name, infinite, str(have.size(), " numbers, wanted ", want.size())};
  const Values tolerance = tolerances(name, kind, want, golden.noise(name).value_or(Values(want.size(), 0.0)));
  Values errors(want.size());
  for (std::size_t i = 0; i < want.size(); ++i) errors[i] = std::abs(want[i] - have[i]);
  if (kind == "update") {
    // Where a gradient is only noise, Adam's first step is the noise's sign.
    std::string gradient = name;
    gradient.replace(gradient.find("/update/"), 8, "/grad/");
    const Values g = golden.get("f64/" + gradient);
    const double noise = largest(golden.noise(gradient).value_or(Values{0.0}));
    for (std::size_t i = 2; i < 6; ++i) {
      if (std::abs(g[i]) <= 10 * noise) errors[i] = 0;
    }
  }
  TraceItem worst{name, -1, ""};
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double ratio = errors[i] / std::max(tolerance[i], 1e-30);
    if (ratio > worst.error) worst = {name, ratio, str("[", i, "] wanted ", want[i], ", got ", have[i], ", allowed ", tolerance[i])};
  }
  return worst;
}

}  // namespace

std::vector<TraceItem> compare_trace(const SafetensorsFile& want, const NamedTensors& got) {
  const std::map<std::string, Tensor> have(got.begin(), got.end());
  const Golden golden{want};
  std::vector<TraceItem> out;
  for (const auto& entry : want.entries()) {
    if (!entry.name.starts_with("f64/")) continue;
    const std::string name = entry.name.substr(4);
    auto found = have.find(name);
    if (found == have.end()) {
      out.push_back({name, infinite, "missing"});
      continue;
    }
    const std::size_t slash = name.find('/');
    const std::string kind = name.substr(slash + 1, name.find('/', slash + 1) - slash - 1);
    TraceItem item = kind == "image" ? image_of(name, golden, found->second) : numbers(name, kind, golden, found->second);
    for (double v : values(found->second)) {
      if (!std::isfinite(v)) item = {name, infinite, "not finite"};
    }
    out.push_back(item);
  }
  std::sort(out.begin(), out.end(), [](const TraceItem& a, const TraceItem& b) { return a.error > b.error; });
  return out;
}

bool may_flip(const TraceItem& item) {
  for (const char* part : {"/grad/", "/update/", "/param/", "lpips/image/grad_image"}) {
    if (item.name.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace g2s::test
