#include "models/renderer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/autograd.h"
#include "engine/image.h"
#include "engine/safetensors.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/grid_sample/grid_sample.h"
#include "kernels/reduce/reduce.h"
#include "kernels/shape/shape.h"
#include "tests/support/check.h"

using namespace g2s;
using namespace g2s::test;

namespace {

// A golden trace: what the reference computed in f64. Images are stored as NCHW in 16 bits, every step-th row and column.
class Trace {
 public:
  Trace(const std::string& folder, const std::string& name)
      : folder_(folder), file_(folder + "/" + name + ".safetensors"), json_(nlohmann::json::parse(std::ifstream(folder + "/" + name + ".json"))) {}

  const nlohmann::json& json() const { return json_; }
  RendererConfig config() const {
    RendererConfig c;
    c.size = json_["S"];
    c.fov = json_["fov"];
    c.min_depth = json_["min_depth"];
    c.max_depth = json_["max_depth"];
    c.border_depth = json_["border_depth"];
    c.rot_center_depth = json_["rot_center_depth"];
    c.xyz_rotation_range = json_["xyz_rotation_range"];
    c.xy_translation_range = json_["xy_translation_range"];
    c.z_translation_range = json_["z_translation_range"];
    return c;
  }
  Tensor input(DType dtype) const { return pixels_to_image(read_image(folder_ + "/" + json_["image"].get<std::string>()).rgb).to(dtype); }
  Tensor views(DType dtype) const {
    std::vector<double> values;
    for (const auto& view : json_["ops"]["views"])
      for (double v : view) values.push_back(v);
    return Tensor::from(values, {static_cast<std::int64_t>(values.size()) / 6, 6}).to(dtype);
  }
  double range(const std::string& name) const { return static_cast<double>(meta(name)[1]) - static_cast<double>(meta(name)[0]); }
  std::int64_t step(const std::string& name) const { return static_cast<std::int64_t>(meta(name)[2]); }
  double noise(const std::string& name) const { return static_cast<double>(meta(name)[3]); }
  // As NHWC in f64, exact to range/65535/2.
  Tensor image(const std::string& name) const {
    return nchw_to_nhwc(affine(file_.get("f64/" + name).to(DType::f64), range(name) / 65535, static_cast<double>(meta(name)[0])));
  }
  Tensor vector(const std::string& name) const { return file_.get("f64/" + name).to(DType::f64); }

 private:
  const float* meta(const std::string& name) const { return file_.get("meta/" + name).data<float>(); }
  std::string folder_;
  SafetensorsFile file_;
  nlohmann::json json_;
};

// Runs `check` on each golden trace that is there.
template <class Check>
void each_trace(Check&& check) {
  std::optional<std::string> folder = shared_path("golden");
  if (!folder) return;
  for (const char* name : {"synface64", "face128"}) {
    INFO("trace ", name);
    check(Trace(*folder, name));
  }
}

// Every step-th row and column of NHWC.
Tensor thinned(const Tensor& x, std::int64_t step) {
  if (step == 1) return x;
  Shape s = x.shape();
  std::vector<Tensor> rows, columns;
  for (std::int64_t y = 0; y < s[1]; y += step) rows.push_back(slice(x, 1, y, y + 1));
  Tensor kept = concat(rows, 1);
  for (std::int64_t i = 0; i < s[2]; i += step) columns.push_back(slice(kept, 2, i, i + 1));
  return concat(columns, 2);
}

// The difference that `share` of all elements stay below.
double quantile_error(const Tensor& got, const Tensor& want, double share) {
  REQUIRE(got.shape() == want.shape());
  Tensor a = got.to(DType::f64), b = want.to(DType::f64);
  std::vector<double> e(static_cast<std::size_t>(a.numel()));
  for (std::size_t i = 0; i < e.size(); ++i) e[i] = std::abs(a.data<double>()[i] - b.data<double>()[i]);
  REQUIRE(std::all_of(e.begin(), e.end(), [](double v) { return std::isfinite(v); }));
  std::sort(e.begin(), e.end());
  return e[static_cast<std::size_t>(share * static_cast<double>(e.size() - 1))];
}

// In f64 an image equals the golden one to its 16 bits but for a few samples beside silhouettes; in f32 as the traces' README allows.
void check_image(const Trace& trace, const std::string& name, const Tensor& got) {
  INFO(name, " in ", to_string(got.dtype()));
  Tensor kept = thinned(got.detach(), trace.step(name)), want = trace.image(name);
  if (got.dtype() == DType::f64) CHECK(quantile_error(kept, want, 0.9995) <= 0.502 * trace.range(name) / 65535);
  else CHECK(quantile_error(kept, want, 0.995) <= 1e-3 * trace.range(name) + 3 * trace.noise(name));
}

void check_vector(const Trace& trace, const std::string& name, const Tensor& got) {
  INFO(name, " in ", to_string(got.dtype()));
  CHECK(rel_error(got.to(DType::f64), trace.vector(name)) < (got.dtype() == DType::f64 ? 1e-5 : 1e-2));
}

// sum(u("dot:NAME") * x), u in the reference's layout.
Tensor dotted(const std::string& name, const Tensor& x) {
  Tensor u = hashed_tensor("dot:" + name, {x.dim(0), x.dim(3), x.dim(1), x.dim(2)}, x.dtype());
  return sum(nchw_to_nhwc(u) * x);
}

Tensor formula_depth(std::int64_t size, DType dtype) {
  std::vector<double> d;
  for (std::int64_t i = 0; i < size * size; ++i) {
    double x = static_cast<double>(i % size) / static_cast<double>(size - 1), y = static_cast<double>(i / size) / static_cast<double>(size - 1);
    d.push_back(1 + 0.06 * std::sin(3.1 * x + 0.4) * std::cos(2.7 * y - 0.3) - 0.03 * std::sin(7 * x * y + 1));
  }
  return Tensor::from(d, {1, size, size, 1}).to(dtype);
}

}  // namespace

TEST_CASE("the renderer agrees with the golden traces") {
  each_trace([](const Trace& trace) {
    Renderer renderer(trace.config());
    for (DType dtype : {DType::f64, DType::f32}) {
      Tensor depth = formula_depth(renderer.config().size, dtype).set_requires_grad();
      Tensor view = trace.views(dtype).set_requires_grad(), image = trace.input(dtype).clone().set_requires_grad();
      Pose pose = renderer.pose(view);
      Tensor warped = renderer.warp_depth(depth, pose), grid = renderer.inverse_grid(warped, pose);
      Tensor recon = grid_sample(image, grid), normal = renderer.normals(depth);
      check_image(trace, "ops/image/depth", depth);
      check_image(trace, "ops/image/warped_depth", warped);
      check_image(trace, "ops/image/valid", renderer.valid(warped));
      check_image(trace, "ops/image/grid", grid);
      check_image(trace, "ops/image/forward_grid", renderer.forward_grid(depth, pose));
      check_image(trace, "ops/image/recon", recon);
      check_image(trace, "ops/image/normal", normal);
      GradOptions keep;
      keep.retain_graph = true;
      std::vector<Tensor> g = grad({dotted("ops/warped_depth", warped)}, {depth, view}, {}, keep);
      check_image(trace, "ops/image/grad_warped_depth_depth", g[0]);
      check_vector(trace, "ops/vector/grad_warped_depth_view", g[1]);
      g = grad({dotted("ops/recon", recon)}, {depth, view, image}, {}, keep);
      check_image(trace, "ops/image/grad_recon_depth", g[0]);
      check_vector(trace, "ops/vector/grad_recon_view", g[1]);
      check_image(trace, "ops/image/grad_recon_image", g[2]);
      check_image(trace, "ops/image/grad_normal_depth", grad({dotted("ops/normal", normal)}, {depth})[0]);
    }
  });
}

TEST_CASE("light, shading and texture agree with step 1 of the golden traces") {
  each_trace([](const Trace& trace) {
    Renderer renderer(trace.config());
    auto common = [&](const std::string& name, std::int64_t step) {  // at every step-th pixel of the full image
      return thinned(trace.image("step1/image/" + name), step / trace.step("step1/image/" + name));
    };
    std::int64_t step = 1;
    for (const char* name : {"albedo", "diffuse", "shading", "texture", "normal"}) step = std::max(step, trace.step(std::string("step1/image/") + name));
    Light light = renderer.light(trace.vector("step1/vector/light"));
    Tensor diffuse = renderer.diffuse_shading(common("normal", step), light.direction);
    CHECK(quantile_error(diffuse, common("diffuse", step), 1) < 1e-4);
    Tensor shading = renderer.shading(light, common("diffuse", step));
    CHECK(quantile_error(shading, common("shading", step), 1) < 1e-4);
    CHECK(quantile_error(renderer.texture(common("albedo", step), common("shading", step)), common("texture", step), 1) < 2e-4);
  });
}

TEST_CASE("light along the surface passes its gradient, light from behind does not") {
  Renderer renderer(RendererConfig{.size = 8});
  Tensor normals = Tensor::from<double>({1, 0, 0, 0.6, 0, -0.8}, {1, 1, 2, 3}).set_requires_grad();
  Tensor diffuse = renderer.diffuse_shading(normals, Tensor::from<double>({0, 0.6, 0.8}, {1, 1, 1, 3}));
  CHECK(diffuse.to_vector<double>() == std::vector<double>{0, 0});
  CHECK(grad({sum(diffuse)}, {normals})[0].to_vector<double>() == std::vector<double>{0, 0.6, 0.8, 0, 0, 0});
}

TEST_CASE("views scale from network units") {
  Renderer renderer({});
  Tensor view = renderer.view_from_units(Tensor::from(std::vector<double>{1, -0.5, 0.25, 1, -2, 3}, {1, 6}));
  const double third = std::acos(-1.0) / 3;
  const double want[6] = {third, -third / 2, third / 4, 0.1, -0.2, 0};
  for (int i = 0; i < 6; ++i) CHECK(view.data<double>()[i] == doctest::Approx(want[i]));
}

TEST_CASE("canonical depth is centred, bounded and has a border") {
  RendererConfig config;
  config.size = 8;
  Renderer renderer(config);
  Tensor raw = hashed_input("renderer/raw", {2, 8, 8, 1}, DType::f64, 3, 5), depth = renderer.canonical_depth(raw);
  double mean_raw[2] = {0, 0};
  for (int i = 0; i < 128; ++i) mean_raw[i / 64] += raw.data<double>()[i] / 64;
  for (int i = 0; i < 128; ++i) {
    double d = 1 + 0.1 * std::tanh(raw.data<double>()[i] - mean_raw[i / 64]);
    if (i % 8 < 2 || i % 8 >= 6) d = d * (1 - 1.02) + 1.02 * 1.04;
    CHECK(depth.data<double>()[i] == doctest::Approx(d).epsilon(1e-12));
  }
  auto fn = [&](const std::vector<Tensor>& in) { return renderer.canonical_depth(in[0]); };
  CHECK(gradcheck(fn, {raw}) < 1e-6);
}

TEST_CASE("the light's derivative agrees with central differences") {
  RendererConfig config;
  config.size = 6;
  Renderer renderer(config);
  Tensor light = hashed_input("renderer/light", {2, 4}, DType::f64, 0.5), albedo = hashed_input("renderer/albedo", {2, 6, 6, 3}, DType::f64);
  auto fn = [&](const std::vector<Tensor>& in) {
    Light l = renderer.light(in[0]);
    return renderer.texture(in[1], renderer.shading(l, renderer.diffuse_shading(renderer.normals(in[2]), l.direction)));
  };
  CHECK(gradcheck(fn, {light, albedo, hashed_input("renderer/depth", {2, 6, 6, 1}, DType::f64, 0.01, 1)}) < 1e-6);
}

TEST_CASE("a shared canonical depth gives what repeated ones give") {
  RendererConfig config;
  config.size = 24;
  Renderer renderer(config);
  Tensor depth = hashed_input("renderer/shared", {1, 24, 24, 1}, DType::f64, 0.01, 1).set_requires_grad();
  Pose pose = renderer.pose(hashed_input("renderer/views", {3, 6}, DType::f64, 0.2));
  Tensor shared = renderer.warp_depth(depth, pose), repeated = renderer.warp_depth(concat({depth, depth, depth}, 0), pose);
  CHECK(rel_error(shared, repeated) == 0);
  Tensor dy = hashed_input("renderer/dy", shared.shape(), DType::f64);
  CHECK(rel_error(grad({shared}, {depth}, {dy})[0], grad({repeated}, {depth}, {dy})[0]) < 1e-12);
}

TEST_CASE("a base makes the depth that it was made of, and the raw output changes it") {
  RendererConfig config;
  config.size = 12;
  const Renderer renderer(config);
  const Tensor depth = hashed_input("renderer/given", {1, 12, 12, 1}, DType::f64, 0.09, 1), base = renderer.base_of(depth);
  CHECK(rel_error(renderer.rescale_depth(Tensor::zeros(depth.shape(), DType::f64), base), depth) < 1e-12);
  const Tensor made = renderer.canonical_depth(Tensor::zeros(depth.shape(), DType::f64), base);
  CHECK(rel_error(slice(made, 2, 2, 10), slice(depth, 2, 2, 10)) < 1e-12);
  const Tensor border = depth * -0.02 + 1.02 * config.border_depth;
  for (std::int64_t x : {0, 1, 10, 11}) CHECK(rel_error(slice(made, 2, x, x + 1), slice(border, 2, x, x + 1)) < 1e-12);
  const Tensor flat = renderer.base_of(Tensor::full(depth.shape(), (config.max_depth + config.min_depth) / 2, DType::f64));
  CHECK(norm(flat) < 1e-12);
  const Tensor raw = hashed_input("renderer/change", depth.shape(), DType::f64);
  CHECK(rel_error(renderer.canonical_depth(raw, flat), renderer.canonical_depth(raw)) < 1e-12);
  CHECK(rel_error(renderer.canonical_depth(raw + 3, base), renderer.canonical_depth(raw, base)) < 1e-12);
  CHECK(rel_error(renderer.canonical_depth(raw, base), made) > 1e-3);
}

TEST_CASE("gradients pass a base, to the raw output, the base and the depth that it is made of") {
  RendererConfig config;
  config.size = 6;
  const Renderer renderer(config);
  const Tensor raw = hashed_input("renderer/raw", {1, 6, 6, 1}, DType::f64), depth = hashed_input("renderer/given", {1, 6, 6, 1}, DType::f64, 0.08, 1);
  CHECK(gradcheck([&](const std::vector<Tensor>& in) { return renderer.canonical_depth(in[0], in[1]); }, {raw, renderer.base_of(depth)}) < 1e-6);
  CHECK(gradcheck([&](const std::vector<Tensor>& in) { return renderer.base_of(in[0]); }, {depth}) < 1e-6);
}

TEST_CASE("the renderer names what does not fit") {
  RendererConfig config;
  config.min_depth = 1.2;
  CHECK_THROWS_WITH_AS(Renderer{config}, "renderer: needs 0 < min_depth < max_depth, got 1.2 and 1.1", Error);
  config = {};
  config.fov = 180;
  CHECK_THROWS_AS(Renderer{config}, Error);
  Renderer renderer({});
  CHECK_THROWS_WITH_AS(renderer.pose(Tensor::zeros({2, 5})), "renderer: views must be [B,6], got f32 [2,5]", Error);
  CHECK_THROWS_AS(renderer.light(Tensor::zeros({4})), Error);
  CHECK_THROWS_AS(renderer.canonical_depth(Tensor::zeros({1, 8, 8, 3})), Error);
}
