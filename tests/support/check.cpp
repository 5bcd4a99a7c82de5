#include "tests/support/check.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>

#include "engine/autograd.h"

namespace g2s::test {
namespace {

std::vector<double> values(const Tensor& t) { return t.detach().to(DType::f64).to_vector<double>(); }

double relative(double error2, double want2) {
  if (!std::isfinite(error2) || !std::isfinite(want2)) return std::numeric_limits<double>::infinity();
  if (error2 == 0) return 0;
  return want2 == 0 ? std::numeric_limits<double>::infinity() : std::sqrt(error2 / want2);
}

// <fn at x + d, dy> - <fn at x - d, dy>, differences taken element by element first: most cancel exactly.
double difference(const Function& fn, const std::vector<Tensor>& plus, const std::vector<Tensor>& minus, const std::vector<double>& dy) {
  std::vector<double> a = values(fn(plus)), b = values(fn(minus));
  double sum = 0;
  for (std::size_t i = 0; i < dy.size(); ++i) sum += (a[i] - b[i]) * dy[i];
  return sum;
}

// Derivative along `direction` (one tensor per checked input), by differences.
double along(const Function& fn, const std::vector<Tensor>& inputs, const std::vector<int>& which, const std::vector<Tensor>& direction,
             double step, const std::vector<double>& dy) {
  std::vector<Tensor> plus = inputs, minus = inputs;
  for (std::size_t k = 0; k < which.size(); ++k) {
    const Tensor& x = inputs[which[k]];
    Tensor p = x.clone(), m = x.clone();
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      double delta = step * direction[k].data<double>()[i];
      p.mutable_data<double>()[i] += delta;
      m.mutable_data<double>()[i] -= delta;
    }
    plus[which[k]] = p;
    minus[which[k]] = m;
  }
  return difference(fn, plus, minus, dy) / (2 * step);
}

double check_directions(const Function& fn, const std::vector<Tensor>& inputs, const std::vector<int>& which,
                        const std::vector<Tensor>& gradients, int count, const GradcheckOptions& options, const std::vector<double>& dy) {
  double error2 = 0, want2 = 0;
  for (int n = 0; n < count; ++n) {
    std::vector<Tensor> direction;
    double mine = 0;
    for (std::size_t k = 0; k < which.size(); ++k) {
      direction.push_back(hashed_tensor(str(options.name, "/direction", n, "/", which[k]), inputs[which[k]].shape()));
      mine += dot(direction[k], gradients[k]);
    }
    double numeric = along(fn, inputs, which, direction, options.step, dy);
    error2 += (mine - numeric) * (mine - numeric);
    want2 += numeric * numeric;
  }
  return relative(error2, want2);
}

double check_elements(const Function& fn, const std::vector<Tensor>& inputs, int index, const Tensor& gradient,
                      const GradcheckOptions& options, const std::vector<double>& dy) {
  const Tensor& x = inputs[index];
  const std::int64_t n = x.numel(), checked = std::min(n, options.max_elements);
  const std::uint64_t hash = fnv1a64(options.name + "/element");
  double error2 = 0, want2 = 0;
  std::vector<Tensor> plus = inputs, minus = inputs;
  for (std::int64_t k = 0; k < checked; ++k) {
    std::int64_t i =
        checked == n ? k
                     : static_cast<std::int64_t>((hashed_uniform(hash, static_cast<std::uint64_t>(k)) + 1) / 2 * static_cast<double>(n));
    plus[index] = x.clone();
    minus[index] = x.clone();
    plus[index].mutable_data<double>()[i] += options.step;
    minus[index].mutable_data<double>()[i] -= options.step;
    double numeric = difference(fn, plus, minus, dy) / (plus[index].data<double>()[i] - minus[index].data<double>()[i]);
    double mine = gradient.data<double>()[i];
    error2 += (mine - numeric) * (mine - numeric);
    want2 += numeric * numeric;
  }
  return relative(error2, want2);
}

}  // namespace

double rel_error(const Tensor& got, const Tensor& want) { return rel_error(std::vector{got}, std::vector{want}); }

double rel_error(const std::vector<Tensor>& got, const std::vector<Tensor>& want) {
  if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
  double error2 = 0, want2 = 0;
  for (std::size_t k = 0; k < got.size(); ++k) {
    if (!got[k].defined() || !want[k].defined() || got[k].shape() != want[k].shape()) return std::numeric_limits<double>::infinity();
    const std::vector<double> a = values(got[k]), b = values(want[k]);
    for (std::size_t i = 0; i < a.size(); ++i) {
      error2 += (a[i] - b[i]) * (a[i] - b[i]);
      want2 += b[i] * b[i];
    }
  }
  return relative(error2, want2);
}

double norm(const Tensor& t) { return std::sqrt(dot(t, t)); }

double dot(const Tensor& a, const Tensor& b) {
  check(a.shape() == b.shape(), "dot", describe(a), " and ", describe(b));
  std::vector<double> x = values(a), y = values(b);
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return a.shape() == b.shape() && a.dtype() == b.dtype() && (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

Tensor hashed_input(const std::string& name, const Shape& shape, DType dtype, double scale, double offset) {
  Tensor t = hashed_tensor(name, shape);
  double* x = t.mutable_data<double>();
  for (std::int64_t i = 0; i < t.numel(); ++i) x[i] = static_cast<float>(scale * x[i] + offset);
  return t.to(dtype);
}

double gradcheck(const Function& fn, const std::vector<Tensor>& inputs, const GradcheckOptions& options) {
  std::vector<int> which = options.inputs;
  if (which.empty())
    for (std::size_t k = 0; k < inputs.size(); ++k)
      if (inputs[k].defined()) which.push_back(static_cast<int>(k));
  std::vector<Tensor> leaves = inputs, plain = inputs, wanted;
  for (Tensor& t : plain)
    if (t.defined()) t = t.detach();
  for (int k : which) {
    check(inputs[k].dtype() == DType::f64, "gradcheck", "input ", k, " is ", describe(inputs[k]), ", f64 is needed");
    leaves[k] = inputs[k].clone();
    leaves[k].set_requires_grad();
    wanted.push_back(leaves[k]);
  }
  Tensor y = fn(leaves);
  Tensor dy = hashed_tensor(options.name + "/dy", y.shape());
  std::vector<Tensor> gradients = grad({y}, wanted, {dy});
  std::vector<double> cotangent = values(dy);

  NoGrad no_grad;
  if (options.directions > 0) return check_directions(fn, plain, which, gradients, options.directions, options, cotangent);
  double worst = 0;
  for (std::size_t k = 0; k < which.size(); ++k) {
    worst = std::max(worst, check_elements(fn, plain, which[k], gradients[k], options, cotangent));
    if (plain[which[k]].numel() > options.max_elements)
      worst = std::max(worst, check_directions(fn, plain, {which[k]}, {gradients[k]}, 1, options, cotangent));
  }
  return worst;
}

std::string source_path(const std::string& relative) {
  const char* folder = std::getenv("G2S_SOURCE_DIR");  // where a program that was built elsewhere finds the repository
  return std::string(folder && *folder ? folder : G2S_SOURCE_DIR) + "/" + relative;
}

std::optional<std::string> shared_path(const std::string& relative) {
  const char* folder = std::getenv("G2S_SHARED");
  std::filesystem::path path = (folder && *folder) ? std::filesystem::path(folder) : std::filesystem::path(source_path("../shared"));
  path /= relative;
  if (std::filesystem::exists(path)) return path.string();
  skip("the shared data has no " + relative + " here (folder " + path.parent_path().lexically_normal().string() + "; set G2S_SHARED)");
  return std::nullopt;
}

}  // namespace g2s::test
