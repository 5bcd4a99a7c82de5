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
#include "kernels/grid_sample/grid_sample.h"
#include "kernels/shape/shape.h"
#include "models/gan2shape/contact_sheet.h"
#include "models/gan2shape/mesh_io.h"
#include "models/gan2shape/texture_bake.h"
#include "models/gan2shape/views.h"

namespace g2s {
namespace {

constexpr std::int64_t largest_texture = 1024, view_size = 256, smallest_texture = 256;
constexpr double shape_grey = 0.7;  // of the shaded shape picture, as the reference draws it

Tensor unit(const Tensor& picture) { return clamp(affine(picture, 0.5, 0.5), 0, 1); }

// [0,1] to 8 bits.
Tensor pixels(const Tensor& shown) { return picture_to_pixels(affine(shown, 2, -1)); }

Tensor grey_shape(const Tensor& normal) { return clamp(slice(normal, 3, 2, 3), 0, 1) * shape_grey; }

// The fit in the input's camera and in the canonical frame.
struct Finished {
  Subject subject;
  Warp seen;
  Tensor recon;        // [1,S,S,3] in [-1,1]
  Tensor object_mask;  // [1,S,S,1] in the input view: the object's mask where the mesh reaches
  Tensor canon_mask;   // [1,S,S,1]
};

Finished finish(const ExportInput& input) {
  const Context& context = input.context;
  const Config& config = *context.config;
  const Target& target = *input.target;
  Finished f;
  Subject& s = f.subject;
  s.canonical = predict_canonical(context, target.image);
  s.view = final_view(predict_view(context, target.image), config);
  s.light = predict_light(context, target.image);
  s.texture = texture_of(s.canonical.albedo, shade(s.canonical.normal, s.light).shading);
  f.seen = warp(s.canonical.depth, s.view, config);
  f.recon = clamp(grid_sample(s.texture, f.seen.grid), -1, 1);
  f.object_mask = target.mask * f.seen.valid;
  f.canon_mask = grid_sample(target.mask, forward_grid(s.canonical.depth, s.view, config));
  return f;
}

void add_mesh(Finished& f, const ExportInput& input) {
  const Config& config = *input.context.config;
  Subject& s = f.subject;
  TextureBake bake;
  bake.photo = input.photo;
  bake.photo_mask = input.target->mask;
  bake.model = s.texture;
  bake.depth = s.canonical.depth;
  bake.warped_depth = f.seen.depth;
  bake.rotation = rotation_matrix(slice(s.view, 1, 0, 3));
  bake.translation = slice(s.view, 1, 3, 6);
  bake.center = config.rot_center_depth;
  bake.camera = config.camera();
  bake.size = std::clamp(input.photo.dim(1), smallest_texture, largest_texture);
  s.mesh_texture = bake_texture(bake);
  MeshSource source;
  source.depth = s.canonical.depth;
  source.mask = f.canon_mask;
  source.camera = config.camera();
  source.texture_size = bake.size;
  s.mesh = build_mesh(source);
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

Tensor input_depth(const Warp& seen) {
  Tensor out = seen.depth * seen.valid;
  return out.reshape({out.dim(1), out.dim(2)}).detach();
}

const Tensor& named(const std::vector<NamedPicture>& pictures, const std::string& name) {
  for (const NamedPicture& p : pictures)
    if (p.name == name) return p.picture;
  fail(Errc::internal, "export", "no picture ", name);
}

struct AllViews {
  std::vector<NamedPicture> mesh_turned, gan_turned, mesh_relit, gan_relit;
};

Tensor overview(const Finished& f, const ExportInput& input, const AllViews& views) {
  const Subject& s = f.subject;
  const Target& target = *input.target;
  const Config& config = *input.context.config;
  std::vector<std::vector<Tile>> rows;
  rows.push_back({{unit(target.image), "input"},
                  {target.mask, "mask"},
                  {unit(target.gan_image), "generator's projection"},
                  {unit(f.recon), "reconstruction"},
                  {depth_pixels(f.seen.depth, f.object_mask, config).to(DType::f32) * (1.0 / 65535), "depth, input view"},
                  {unit(s.canonical.normal), "normals, canonical"},
                  {unit(s.canonical.albedo), "albedo"},
                  {unit(s.texture), "texture"},
                  {grey_shape(s.canonical.normal), "shape"}});
  std::vector<Tile> turned, gan, relit, gan_light;
  std::size_t yaws = 9;
  for (std::size_t i = 0; i < yaws; ++i) {
    turned.push_back({views.mesh_turned[i].picture, "mesh " + views.mesh_turned[i].name});
    gan.push_back({views.gan_turned[i].picture, "GAN " + views.gan_turned[i].name});
  }
  for (std::size_t i = yaws; i < views.mesh_turned.size(); ++i) {
    relit.push_back({views.mesh_turned[i].picture, "mesh " + views.mesh_turned[i].name});
    gan_light.push_back({views.gan_turned[i].picture, "GAN " + views.gan_turned[i].name});
  }
  for (const char* name : {"dx-1.5_dy0.0_a0.6", "dx-0.7_dy0.6_a0.6", "dx+0.7_dy0.6_a0.6", "dx+1.5_dy0.0_a0.6"}) {
    relit.push_back({named(views.mesh_relit, name), std::string("mesh ") + name});
    gan_light.push_back({named(views.gan_relit, name), std::string("GAN ") + name});
  }
  rows.push_back(turned);
  rows.push_back(gan);
  rows.push_back(relit);
  rows.push_back(gan_light);
  return contact_sheet(rows);
}

void write_views(const std::string& folder, const char* prefix, const std::vector<NamedPicture>& pictures) {
  for (const NamedPicture& p : pictures) write_png(folder + "/" + prefix + p.name + ".png", pixels(p.picture));
}

void write_mesh(const std::string& folder, const Subject& s, const Config& config) {
  ViewerFrame frame{config.rot_center_depth, 1 / (2 * std::tan(config.fov * M_PI / 360) * config.rot_center_depth)};
  std::string png = encode_png(picture_to_pixels(s.mesh_texture));
  write_file(folder + "/texture.png", png);
  write_file(folder + "/mesh.obj", obj_text(s.mesh, frame, "mesh.mtl"));
  write_file(folder + "/mesh.mtl", mtl_text("texture.png"));
  write_file(folder + "/mesh.glb", glb_file(s.mesh, frame, png));
}

}  // namespace

ExportReport export_fit(const ExportInput& input, const std::string& folder) {
  NoGrad no_grad;
  const Config& config = *input.context.config;
  const Target& target = *input.target;
  Finished f = finish(input);
  add_mesh(f, input);
  const Subject& s = f.subject;
  AllViews views{mesh_turned(s, config, view_size), gan_turned(s, input.context, target), mesh_relit(s, config, view_size),
                 gan_relit(s, input.context, target)};

  write_png(folder + "/mask.png", pixels(target.mask));
  write_png(folder + "/depth.png", depth_pixels(f.seen.depth, f.object_mask, config));
  write_png(folder + "/normal.png", pixels(unit(s.canonical.normal)));
  write_png(folder + "/albedo.png", pixels(unit(s.canonical.albedo)));
  write_png(folder + "/shape.png", pixels(grey_shape(s.canonical.normal)));
  write_mesh(folder, s, config);
  make_folders(folder + "/views");
  write_views(folder + "/views", "mesh_", views.mesh_turned);
  write_views(folder + "/views", "gan_", views.gan_turned);
  make_folders(folder + "/relight");
  write_views(folder + "/relight", "mesh_", views.mesh_relit);
  write_views(folder + "/relight", "gan_", views.gan_relit);
  write_png(folder + "/overview.png", pixels(overview(f, input, views)));

  ExportReport report;
  report.input_depth = input_depth(f.seen);
  write_npy(folder + "/input_depth.npy", report.input_depth);
  write_safetensors(folder + "/latent.safetensors", {{"latent", target.latent.detach()}});
  report.vertices = static_cast<std::int64_t>(s.mesh.positions.size());
  report.triangles = static_cast<std::int64_t>(s.mesh.triangles.size());
  report.texture_size = s.mesh_texture.dim(1);
  report.input_pitch = s.view.data<float>()[0] * 180 / M_PI;
  report.input_yaw = s.view.data<float>()[1] * 180 / M_PI;
  return report;
}

}  // namespace g2s
