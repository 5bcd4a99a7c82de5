#include "models/gan2shape/export.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/autograd.h"
#include "engine/files.h"
#include "engine/image.h"
#include "engine/npy.h"
#include "engine/safetensors.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/shape/shape.h"
#include "models/gan2shape/contact_sheet.h"
#include "models/gan2shape/mesh_io.h"
#include "models/gan2shape/texture_bake.h"
#include "models/gan2shape/views.h"

namespace g2s {
namespace {

constexpr std::int64_t largest_texture = 1024, view_size = 256, smallest_texture = 256;
constexpr double shape_grey = 0.7;  // of the shaded shape image, as the reference draws it

// [0,1] to 8 bits.
Tensor pixels(const Tensor& shown) { return image_to_pixels(affine(shown, 2, -1)); }

Tensor grey_shape(const Tensor& normal) { return clamp(slice(normal, 3, 2, 3), 0, 1) * shape_grey; }

// The object's mask in the input view, where the mesh reaches.
Tensor object_mask(const FitResult& fit) { return fit.target.mask * fit.valid; }

Subject make_subject(const FitResult& fit, const Renderer& renderer, const Tensor& photo) {
  const std::int64_t size = std::clamp(photo.dim(1), smallest_texture, largest_texture);
  const MeshSource source{.depth = fit.canonical.depth, .mask = fit.canonical_mask, .camera = renderer.camera(), .texture_size = size};
  return {fit, build_mesh(source), bake_texture(fit, renderer, photo, size)};
}

// 16 bits: depth = max - value / 65535 * (max - min); 0 is background, which no pixel of the object gets.
Tensor depth_pixels(const Tensor& depth, const Tensor& mask, const Config& config) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(depth.numel()));
  const float *d = depth.data<float>(), *m = mask.data<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    double share = (config.max_depth - d[i]) / (config.max_depth - config.min_depth);
    values[i] = m[i] >= 0.5f ? static_cast<std::int32_t>(std::lround(std::clamp(share * 65535, 1.0, 65535.0))) : 0;
  }
  return Tensor::from(values, depth.shape());
}

// Camera depth in the input view, 0 where the mesh does not reach.
Tensor input_depth(const FitResult& fit) {
  Tensor out = fit.depth * fit.valid;
  return out.reshape({out.dim(1), out.dim(2)});
}

const NamedImage& named(const std::vector<NamedImage>& images, const std::string& name) {
  for (const NamedImage& p : images)
    if (p.name == name) return p;
  fail(Errc::internal, "export", "no picture ", name);
}

struct AllViews {
  std::vector<NamedImage> mesh_turned, gan_turned, mesh_relit, gan_relit;
};

Tensor overview(const FitResult& fit, const Config& config, const AllViews& views) {
  const Target& target = fit.target;
  std::vector<std::vector<Tile>> rows(5);
  rows[0] = {{to_unit(target.image), "input"},
             {target.mask, "mask"},
             {to_unit(target.gan_image), "generator's projection"},
             {to_unit(fit.recon), "reconstruction"},
             {depth_pixels(fit.depth, object_mask(fit), config).to(DType::f32) * (1.0 / 65535), "depth, input view"},
             {to_unit(fit.canonical.normal), "normals, canonical"},
             {to_unit(fit.canonical.albedo), "albedo"},
             {to_unit(fit.texture), "texture"},
             {grey_shape(fit.canonical.normal), "shape"}};
  auto add = [&](std::size_t row, const NamedImage& mesh, const NamedImage& gan) {
    rows[row].push_back({mesh.image, "mesh " + mesh.name});
    rows[row + 1].push_back({gan.image, "GAN " + gan.name});
  };
  constexpr std::size_t yaws = 9;
  for (std::size_t i = 0; i < views.mesh_turned.size(); ++i) add(i < yaws ? 1 : 3, views.mesh_turned[i], views.gan_turned[i]);
  for (const char* name : {"dx-1.5_dy0.0_a0.6", "dx-0.7_dy0.6_a0.6", "dx+0.7_dy0.6_a0.6", "dx+1.5_dy0.0_a0.6"})
    add(3, named(views.mesh_relit, name), named(views.gan_relit, name));
  return contact_sheet(rows);
}

void write_views(const std::string& folder, const char* prefix, const std::vector<NamedImage>& images) {
  for (const NamedImage& p : images) write_png(folder + "/" + prefix + p.name + ".png", pixels(p.image));
}

void write_mesh(const std::string& folder, const Subject& s, const Config& config) {
  ViewerFrame frame{config.rot_center_depth, 1 / (2 * std::tan(config.fov * M_PI / 360) * config.rot_center_depth)};
  std::string png = encode_png(image_to_pixels(s.mesh_texture));
  write_file(folder + "/texture.png", png);
  write_file(folder + "/mesh.obj", obj_text(s.mesh, frame, "mesh.mtl"));
  write_file(folder + "/mesh.mtl", mtl_text("texture.png"));
  write_file(folder + "/mesh.glb", glb_file(s.mesh, frame, png));
}

}  // namespace

ExportReport export_fit(const FitResult& fit, const Method& method, const Tensor& photo, const std::string& folder) {
  NoGrad no_grad;
  const Config& config = method.config;
  const Subject subject = make_subject(fit, method.renderer, photo);
  const GanViews drawn(fit, method);
  const AllViews views{mesh_turned(subject, method, view_size), drawn.turned(), mesh_relit(subject, method, view_size), drawn.relit()};

  write_png(folder + "/mask.png", pixels(fit.target.mask));
  write_png(folder + "/depth.png", depth_pixels(fit.depth, object_mask(fit), config));
  write_png(folder + "/normal.png", pixels(to_unit(fit.canonical.normal)));
  write_png(folder + "/albedo.png", pixels(to_unit(fit.canonical.albedo)));
  write_png(folder + "/shape.png", pixels(grey_shape(fit.canonical.normal)));
  write_mesh(folder, subject, config);
  make_folders(folder + "/views");
  write_views(folder + "/views", "mesh_", views.mesh_turned);
  write_views(folder + "/views", "gan_", views.gan_turned);
  make_folders(folder + "/relight");
  write_views(folder + "/relight", "mesh_", views.mesh_relit);
  write_views(folder + "/relight", "gan_", views.gan_relit);
  write_png(folder + "/overview.png", pixels(overview(fit, config, views)));
  write_npy(folder + "/input_depth.npy", input_depth(fit));
  write_safetensors(folder + "/latent.safetensors", {{"latent", fit.target.latent}});

  return {static_cast<std::int64_t>(subject.mesh.positions.size()), static_cast<std::int64_t>(subject.mesh.triangles.size()),
          subject.mesh_texture.dim(1)};
}

}  // namespace g2s
