#include "models/gan2shape/views.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/grid_sample/grid_sample.h"
#include "kernels/shape/shape.h"
#include "models/gan2shape/mesh_render.h"
#include "models/gan2shape/texture_bake.h"

namespace g2s {
namespace {

constexpr double degree = M_PI / 180;
constexpr double relight_alpha = -0.6;         // how the ambient light follows `a`
constexpr std::int64_t projection_batch = 4;   // images encoded and generated at once: less than a part of step 2 takes
// A relit mesh keeps the photograph's detail: its texture times new shading over old. Where the old shading is darker than this there is no
// detail to keep.
constexpr double darkest_shading = 0.2;

std::string format(const char* pattern, double a, double b = 0, double c = 0) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, a, b, c);
  return text;
}

struct Turn {
  std::string name;
  double yaw = 0, pitch = 0;  // radians, from the canonical front
};
struct Relight {
  std::string name;
  double dx = 0, dy = 0, a = 0;
};

enum class Drawn { mesh, generated };

std::vector<Turn> turns(const Config& config, Drawn drawn) {
  const std::string& category = config.category;
  std::vector<Turn> out;
  double range = category == "car" || category == "church" ? 45 : 70;
  double pitch_range = 20;
  if (config.views == ViewSource::directions) range = 60;
  if (config.views == ViewSource::directions && drawn == Drawn::generated) range = 30, pitch_range = 12;  // farther, directions lead to other people
  for (int i = 0; i < 9; ++i) {
    double yaw = range * (i - 4) / 4;
    out.push_back({format("yaw%+.1f", yaw), yaw * degree, 0});
  }
  for (int i = 0; i < 5; ++i) {
    double pitch = pitch_range * (i - 2) / 2;
    out.push_back({format("pitch%+.1f", pitch), 0, pitch * degree});
  }
  return out;
}

std::vector<Relight> relights() {
  std::vector<Relight> out;
  for (double a : {0.3, 0.6})
    for (double dy : {0.0, 0.6})
      for (double dx : {-1.5, -0.7, 0.0, 0.7, 1.5}) out.push_back({format("dx%+.1f_dy%.1f_a%.1f", dx, dy, a), dx, dy, a});
  return out;
}

template <class Kind>
std::vector<std::string> names_of(const std::vector<Kind>& all) {
  std::vector<std::string> out;
  for (const Kind& kind : all) out.push_back(kind.name);
  return out;
}

MeshView front_view(const Renderer& renderer, std::int64_t size) {
  return {.center = renderer.config().rot_center_depth, .camera = renderer.camera(), .grid = renderer.config().size, .size = size};
}

Tensor relit_shading(const Renderer& renderer, const Tensor& normal, const Tensor& own_light, const Relight& light) {
  Tensor random = Tensor::from(std::vector<float>{static_cast<float>(light.dx), static_cast<float>(light.dy), static_cast<float>(light.a)}, {1, 3});
  return shade_randomly(renderer, normal, own_light, random, relight_alpha).shading;
}

}  // namespace

std::vector<std::string> mesh_turn_names(const Config& config) { return names_of(turns(config, Drawn::mesh)); }
std::vector<std::string> generated_turn_names(const Config& config) { return names_of(turns(config, Drawn::generated)); }
std::vector<std::string> relight_names() { return names_of(relights()); }

Tensor to_unit(const Tensor& image) { return clamp(affine(image, 0.5, 0.5), 0, 1); }

std::vector<NamedImage> mesh_turned(const Subject& subject, const Method& method, std::int64_t size) {
  NoGrad no_grad;
  Tensor texture = to_unit(subject.mesh_texture);
  std::vector<NamedImage> out;
  for (const Turn& turn : turns(method.config, Drawn::mesh)) {
    MeshView view = front_view(method.renderer, size);
    view.yaw = turn.yaw;
    view.pitch = turn.pitch;
    out.push_back({turn.name, render_mesh(subject.mesh, texture, view)});
  }
  return out;
}

std::vector<NamedImage> mesh_relit(const Subject& subject, const Method& method, std::int64_t size) {
  NoGrad no_grad;
  MeshView view = front_view(method.renderer, size);
  const float* v = subject.fit.view.data<float>();
  view.pitch = v[0];
  view.yaw = v[1];
  view.roll = v[2];
  view.translation = {v[3], v[4], v[5]};
  Tensor texture = to_unit(subject.mesh_texture);
  const Tensor &normal = subject.fit.canonical.normal, &own_light = subject.fit.light;
  Tensor before = clamp(shade(method.renderer, normal, own_light).shading, darkest_shading, 10);
  std::vector<NamedImage> out;
  for (const Relight& light : relights()) {
    Tensor ratio = clamp(relit_shading(method.renderer, normal, own_light, light), 0, 10) / before;
    out.push_back({light.name, render_mesh(subject.mesh, clamp(texture * grid_sample(ratio, texel_grid(texture.dim(1))), 0, 1), view)});
  }
  return out;
}

GanViews::GanViews(const FitResult& fit, const Method& method)
    : method_(method),
      device_(method.device()),
      target_(fit.target.to(device_)),
      canonical_(fit.canonical.to(device_)),
      texture_(fit.texture.to(device_)),
      view_(fit.view.to(device_)),
      light_(fit.light.to(device_)) {}

std::vector<NamedImage> GanViews::turned() const {
  NoGrad no_grad;
  const DefaultDevice guard(device_);
  std::vector<NamedImage> out;
  std::vector<Tensor> rotations;
  for (const Turn& turn : turns(method_.config, Drawn::generated)) {
    Tensor view = Tensor::from(std::vector<float>{static_cast<float>(turn.pitch), static_cast<float>(turn.yaw), 0, 0, 0, 0}, {1, 6});
    if (method_.directions) {
      const Renderer& r = method_.renderer;
      rotations.push_back(slice(view, 1, 0, 2) * (1 / (r.config().xyz_rotation_range * degree)));
      view = r.view_from_units(aligned_views(r, canonical_.depth, rotations.back()));
    }
    out.push_back({turn.name, rendering(texture_, view)});
  }
  reproject(out, rotations);
  return out;
}

std::vector<NamedImage> GanViews::relit() const {
  NoGrad no_grad;
  const DefaultDevice guard(device_);
  std::vector<NamedImage> out;
  for (const Relight& light : relights()) {
    Tensor texture = method_.renderer.texture(canonical_.albedo, relit_shading(method_.renderer, canonical_.normal, light_, light));
    out.push_back({light.name, rendering(texture, view_)});
  }
  reproject(out, std::vector<Tensor>(out.size(), target_.rotations));
  return out;
}

// A canonical texture as the method sees it with a view [1,6].
Tensor GanViews::rendering(const Tensor& texture, const Tensor& view) const {
  return method_.renderer.reconstruct(texture, warp(method_.renderer, canonical_.depth, view).grid);
}

// Encodes images in batches and draws them with the generator. rotations: of each, with directions.
void GanViews::reproject(std::vector<NamedImage>& images, const std::vector<Tensor>& rotations) const {
  const Step2 step(method_, target_, Snapshot{canonical_, light_, {}});
  for (std::size_t begin = 0; begin < images.size(); begin += projection_batch) {
    std::vector<Tensor> batch, turned;
    for (std::size_t i = begin; i < std::min(images.size(), begin + projection_batch); ++i) {
      batch.push_back(images[i].image);
      if (method_.directions) turned.push_back(rotations[i]);
    }
    const Tensor generated = step.project(concat(batch, 0), turned.empty() ? Tensor() : concat(turned, 0)).image;
    for (std::int64_t i = 0; i < generated.dim(0); ++i)
      images[begin + static_cast<std::size_t>(i)].image = to_unit(slice(generated, 0, i, i + 1)).to(Device{});
  }
}

}  // namespace g2s
