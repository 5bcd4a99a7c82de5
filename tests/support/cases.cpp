#include "tests/support/cases.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "engine/accelerator.h"
#include "engine/autograd.h"
#include "engine/cuda/launches.h"
#include "engine/hashed_tensor.h"
#include "engine/safetensors.h"
#include "engine/simt/order.h"
#include "tests/support/check.h"

namespace g2s::test {

namespace {

using nlohmann::json;

// Larger golden tensors are stored as a count sketch: element i is added, with a hashed sign, to one of sketch_size sums. The norm of the
// sketch of an error is that of the error in expectation, and every element counts. tests/oracle/make_goldens.py does the same.
constexpr std::int64_t sketch_above = 1024;
constexpr std::int64_t sketch_size = 512;

Tensor sketch(const Tensor& t) {
  if (t.numel() <= sketch_above) return t;
  Tensor x = t.detach().to(DType::f64);
  Tensor out = Tensor::zeros({sketch_size}, DType::f64);
  const std::uint64_t hash = fnv1a64("sketch");
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    // u = k / 2^52 - 1 exactly: the low bits of k are the bucket, the sign of u the sign.
    double u = hashed_uniform(hash, static_cast<std::uint64_t>(i));
    auto bucket = static_cast<std::int64_t>((u + 1) * 0x1p52) % sketch_size;
    out.mutable_data<double>()[bucket] += (u < 0 ? -1 : 1) * x.data<double>()[i];
  }
  return out;
}

std::string how_to_make(const std::string& family) { return "; run tests/oracle/make_goldens.py " + family; }

// Everything that a case gives. Undefined tensors are zeros (an output that does not depend on an input).
using Results = std::vector<std::pair<std::string, Tensor>>;

class Runner {
 public:
  Runner(const std::string& family, const Case& c, const CaseFunction& fn, CaseReport& report)
      : family_(family), case_(c), fn_(fn), report_(report) {}

  void run_all(const SafetensorsFile& golden) {
    Results f32, f64;
    {
      Threads guard(1);
      f64 = run(DType::f64);
      f32 = run(DType::f32);
    }
    compare_golden(f64, golden, "f64", case_.tol_f64);
    compare_golden(f32, golden, "f32", {});
    compare(f32, f64, "f32 against f64");
    if (device_.type == DeviceType::cpu) {
      check_threads(DType::f32, f32);
      check_threads(DType::f64, f64);
      if (case_.gradcheck) check_gradient();
    } else {
      check_orders(DType::f32, f32);
      check_orders(DType::f64, f64);
    }
    for (const auto& [key, value] : case_.attrs->items())
      expect(case_.read.count(key) == 1, label("attrs"), ": the test never reads \"", key, "\"");
  }

 private:
  std::string label(const std::string& what) const { return family_ + "/" + case_.name + "/" + what; }

  template <class... Parts> void expect(bool ok, const Parts&... message) {
    ++report_.checks;
    if (!ok) report_.failures.push_back(str(message...));
  }

  Results run(DType dtype) const {
    const std::vector<int>& which = case_.grad;
    std::vector<Tensor> in = case_inputs(family_, case_, dtype), wanted;
    for (Tensor& t : in)
      if (t.defined()) t = t.to(device_);
    DefaultDevice guard(device_);
    for (int k : which) wanted.push_back(in[k].set_requires_grad());
    Tensor y = fn_(case_, in);
    check(y.dtype() == dtype, label("out").c_str(), "is ", describe(y), " for ", dtype, " inputs");
    check(y.device() == device_, label("out").c_str(), "is on ", y.device(), ", the inputs on ", device_);
    auto host = [](const Tensor& t) { return t.detach().to(Device{}); };
    Results results{{"out", host(y)}};
    if (which.empty()) return results;
    Tensor dy = hashed_input(label("dy"), y.shape(), dtype).to(device_);
    if (case_.second) dy.set_requires_grad();
    std::vector<Tensor> first = grad({y}, wanted, {dy}, {.create_graph = case_.second});
    for (std::size_t i = 0; i < first.size(); ++i) results.emplace_back("grad" + std::to_string(which[i]), host(first[i]));
    if (!case_.second) return results;
    std::vector<Tensor> cotangents;
    for (std::size_t i = 0; i < first.size(); ++i)
      cotangents.push_back(hashed_input(label("ddy" + std::to_string(which[i])), first[i].shape(), dtype).to(device_));
    wanted.push_back(dy);
    std::vector<Tensor> second = grad(first, wanted, cotangents, {.allow_unused = true});
    for (std::size_t i = 0; i < second.size(); ++i) {
      std::string name = i < which.size() ? "second" + std::to_string(which[i]) : "second_dy";
      results.emplace_back(name, second[i].defined() ? host(second[i]) : Tensor::zeros(wanted[i].shape(), dtype, Device{}));
    }
    return results;
  }

  double tolerance(const std::string& what) const { return what == "out" ? case_.tol_forward : case_.tol_grad; }

  void compare(const Results& got, const Results& want, const char* which) {
    for (std::size_t i = 0; i < got.size(); ++i) {
      const std::string& what = got[i].first;
      double error = rel_error(got[i].second, want[i].second), limit = tolerance(what);
      expect(error <= limit, label(what), ": ", which, ": relative error ", error, " > ", limit, ", ", describe(got[i].second));
    }
  }

  void compare_golden(const Results& got, const SafetensorsFile& golden, const char* which, std::optional<double> tol) {
    for (const auto& [what, value] : got) {
      const std::string key = case_.name + "/" + what;
      if (!golden.contains(key)) {
        expect(false, golden.path(), " has no ", key, how_to_make(family_));
        continue;
      }
      double error = rel_error(sketch(value), golden.get(key)), limit = tol.value_or(tolerance(what));
      expect(error <= limit, label(what), ": ", which, " against golden: relative error ", error, " > ", limit, ", ", describe(value));
    }
  }

  void check_threads(DType dtype, const Results& one) {
    for (int threads : {2, 3, 8}) {
      Threads guard(threads);
      Results more = run(dtype);
      for (std::size_t i = 0; i < one.size(); ++i)
        expect(same_bits(one[i].second, more[i].second), label(one[i].first), ": ", dtype, " bits differ between 1 and ", threads,
               " threads");
    }
  }

  // The emulator runs lanes and blocks in another order.
  void check_orders(DType dtype, const Results& forward) {
#if defined(__SANITIZE_THREAD__)
    return;  // a race is one in any order, and this is slow
#endif
    if (!simt::set_order || std::getenv("G2S_SIMT_PTX")) return;  // tests/ptx runs kernels in one order
    for (simt::Order order : {simt::Order::reverse, simt::Order::shuffle}) {
      simt::set_order(order);
      Results other = run(dtype);
      simt::set_order(simt::Order::forward);
      for (std::size_t i = 0; i < forward.size(); ++i)
        expect(same_bits(forward[i].second, other[i].second), label(forward[i].first), ": ", dtype, " bits depend on the order of lanes or blocks");
    }
  }

  void check_gradient() {
    GradcheckOptions options;
    options.inputs = case_.grad;
    options.step = case_.step;
    options.name = label("gradcheck");
    auto call = [&](const std::vector<Tensor>& in) { return fn_(case_, in); };
    double error = gradcheck(call, case_inputs(family_, case_, DType::f64), options);
    expect(error <= case_.tol_gradcheck, label("gradcheck"), ": relative error ", error, " > ", case_.tol_gradcheck);
  }

  const std::string& family_;
  const Case& case_;
  const CaseFunction& fn_;
  CaseReport& report_;
  const Device device_ = test_device();
};

// What the golden values of a case depend on, in the form that make_goldens.py hashes: sorted keys, no spaces.
std::string fingerprint(const Case& c) {
  json parts;
  for (const char* key : {"name", "op", "inputs", "attrs", "grad", "second"})
    if (c.source->contains(key)) parts[key] = c.source->at(key);
  return str(std::hex, fnv1a64(parts.dump()));
}

void require_known_keys(const json& j, const std::set<std::string>& known, const std::string& where) {
  for (const auto& [key, value] : j.items())
    if (!known.count(key)) fail(Errc::format, where, "unknown key \"", key, "\"");
}

CaseInput parse_input(const json& j, const std::string& where) {
  CaseInput input;
  if (j.is_null()) {
    input.defined = false;
    return input;
  }
  require_known_keys(j, {"shape", "scale", "offset", "away", "margin", "values"}, where);
  input.shape = Shape(j.at("shape").get<std::vector<std::int64_t>>());
  input.scale = j.value("scale", 1.0);
  input.offset = j.value("offset", 0.0);
  input.margin = j.value("margin", 0.0);
  input.away = j.value("away", std::vector<double>{});
  input.values = j.value("values", std::vector<double>{});
  if (input.away.empty() != (input.margin == 0)) fail(Errc::format, where, "\"away\" and \"margin\" come together");
  if (!input.values.empty())
    check(static_cast<std::int64_t>(input.values.size()) == input.shape.numel(), where.c_str(), "as many values as elements");
  return input;
}

Case parse_case(const json& j, const std::string& family) {
  Case c;
  c.source = std::make_shared<const json>(j);
  c.name = j.at("name").get<std::string>();
  const std::string where = family + "/" + c.name;
  require_known_keys(j,
                     {"name", "op", "inputs", "attrs", "grad", "second", "gradcheck", "step", "tol_forward", "tol_grad", "tol_f64",
                      "tol_gradcheck", "reason", "flops", "bytes"},
                     where);
  c.op = j.at("op").get<std::string>();
  for (const json& input : j.at("inputs")) c.inputs.push_back(parse_input(input, where));
  c.attrs = std::make_shared<const json>(j.value("attrs", json::object()));
  c.grad = j.value("grad", std::vector<int>{});
  c.second = j.value("second", false);
  c.gradcheck = j.value("gradcheck", false);
  c.step = j.value("step", c.step);
  const Case usual;
  c.tol_forward = j.value("tol_forward", usual.tol_forward);
  c.tol_grad = j.value("tol_grad", usual.tol_grad);
  c.tol_f64 = j.value("tol_f64", usual.tol_f64);
  c.tol_gradcheck = j.value("tol_gradcheck", usual.tol_gradcheck);
  bool looser = c.tol_forward > usual.tol_forward || c.tol_grad > usual.tol_grad || c.tol_f64 > usual.tol_f64 ||
                c.tol_gradcheck > usual.tol_gradcheck;
  if (looser && j.value("reason", "").empty()) fail(Errc::format, where, "a tolerance looser than usual needs a \"reason\"");
  if ((c.second || c.gradcheck) && c.grad.empty()) fail(Errc::format, where, "\"second\" and \"gradcheck\" need \"grad\"");
  for (int k : c.grad)
    if (k < 0 || k >= static_cast<int>(c.inputs.size()) || !c.inputs[k].defined)
      fail(Errc::format, where, "\"grad\" names input ", k, ", which is not there");
  return c;
}

// kernels/<family>, or a folder of the repository when the name is a path.
std::string family_path(const std::string& family, const std::string& file) {
  return source_path((family.find('/') == std::string::npos ? "kernels/" + family : family) + "/" + file);
}

// G2S_CASE=one,other: cases whose names contain one of these.
bool wanted(const std::string& name) {
  const char* filter = std::getenv("G2S_CASE");
  if (!filter) return true;
  std::istringstream parts(filter);
  for (std::string part; std::getline(parts, part, ',');)
    if (name.find(part) != std::string::npos) return true;
  return false;
}

// With G2S_LIST_LAUNCHES=FILE the process appends to it, at its end, the names of the kernels that it launched.
struct ListLaunches {
  ~ListLaunches() {
    const char* path = std::getenv("G2S_LIST_LAUNCHES");
    if (!path || !cuda::launches) return;
    std::ofstream out(path, std::ios::app);
    for (const auto& [kernel, count] : cuda::launches()) out << kernel << '\n';
  }
};
const ListLaunches at_exit;

}  // namespace

Device test_device() {
  const char* requested = std::getenv("G2S_TEST_DEVICE");
  return requested ? device_from(requested, "G2S_TEST_DEVICE") : Device{};
}

bool no_test_device() { return !std::getenv("G2S_TEST_DEVICE"); }

bool Case::has(const std::string& key) const {
  read.insert(key);
  return attrs->contains(key);
}

const json& Case::at(const std::string& key) const {
  if (!has(key)) fail(Errc::format, name, "the attribute \"", key, "\" is missing");
  return attrs->at(key);
}

std::int64_t Case::integer(const std::string& key) const { return at(key).get<std::int64_t>(); }
double Case::number(const std::string& key) const { return at(key).get<double>(); }
std::string Case::text(const std::string& key) const { return at(key).get<std::string>(); }
bool Case::boolean(const std::string& key) const { return at(key).get<bool>(); }
std::vector<std::int64_t> Case::integers(const std::string& key) const { return at(key).get<std::vector<std::int64_t>>(); }
std::vector<double> Case::numbers(const std::string& key) const { return at(key).get<std::vector<double>>(); }

std::vector<Case> read_cases(const std::string& family) {
  const std::string path = family_path(family, "cases.json");
  std::ifstream in(path);
  if (!in) fail(Errc::io, path, "cannot be read");
  std::vector<Case> cases;
  std::set<std::string> names;
  const json table = json::parse(in);
  for (const json& j : table.at("cases")) {
    cases.push_back(parse_case(j, family));
    if (!names.insert(cases.back().name).second) fail(Errc::format, path, "two cases are named ", cases.back().name);
  }
  if (cases.empty()) fail(Errc::format, path, "has no cases");
  return cases;
}

std::vector<Tensor> case_inputs(const std::string& family, const Case& c, DType dtype) {
  std::vector<Tensor> tensors;
  for (std::size_t k = 0; k < c.inputs.size(); ++k) {
    const CaseInput& spec = c.inputs[k];
    if (!spec.defined) {
      tensors.emplace_back();
      continue;
    }
    Tensor t = hashed_tensor(str(family, "/", c.name, "/", k), spec.shape);
    double* x = t.mutable_data<double>();
    for (std::int64_t i = 0; i < t.numel(); ++i) {
      double v = spec.values.empty() ? spec.scale * x[i] + spec.offset : spec.values[i];
      for (double kink : spec.away)
        if (std::abs(v - kink) < spec.margin) v = kink + (v < kink ? -1 : 1) * (spec.margin + std::abs(v - kink));
      x[i] = static_cast<float>(v);
    }
    tensors.push_back(t.to(dtype));
  }
  return tensors;
}

CaseReport check_cases(const std::string& family, const CaseFunction& fn) {
  CaseReport report;
  const std::string path = family_path(family, "golden.safetensors");
  if (!std::filesystem::exists(path)) {
    report.failures.push_back(path + " is missing" + how_to_make(family));
    return report;
  }
  const SafetensorsFile golden(path);
  for (const Case& c : read_cases(family)) {
    if (!wanted(c.name)) continue;
    auto stored = golden.metadata().find(c.name);
    if (stored == golden.metadata().end() || stored->second != fingerprint(c)) {
      const char* how = stored == golden.metadata().end() ? " lacks " : " is stale for ";
      report.failures.push_back(path + how + c.name + how_to_make(family));
      continue;
    }
    try {
      Runner(family, c, fn, report).run_all(golden);
    } catch (const std::exception& e) {
      report.failures.push_back(family + "/" + c.name + ": threw " + e.what());
    }
  }
  if (report.checks == 0 && !std::getenv("G2S_CASE")) report.failures.push_back(family + ": nothing was checked");
  return report;
}

void run_cases(const std::string& family, const CaseFunction& fn) {
  CaseReport report = check_cases(family, fn);
  for (const std::string& failure : report.failures) FAIL_CHECK(failure);
  CHECK(report.failures.empty());
  MESSAGE(family, ": ", report.checks, " checks");
}

}  // namespace g2s::test
