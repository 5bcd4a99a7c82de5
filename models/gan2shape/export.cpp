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
#include "models/gan2shape/warnings.h"

namespace g2s {
namespace {

constexpr std::int64_t largest_texture = 1024, smallest_view = 256, smallest_texture = 256;
constexpr double shape_grey = 0.7;  // of the shaded shape image, as the reference draws it

// Of the mesh's views: as the photograph, so that nothing of the texture is lost.
std::int64_t view_size(const Tensor& photo) { return std::clamp(photo.dim(1), smallest_view, largest_texture); }

// [0,1] to 8 bits.
Tensor pixels(const Tensor& shown) { return image_to_pixels(affine(shown, 2, -1)); }

Tensor grey_shape(const Tensor& normal) { return clamp(slice(normal, 3, 2, 3), 0, 1) * shape_grey; }

// The object's mask in the input view, where the mesh reaches.
Tensor object_mask(const FitResult& fit) { return fit.target.mask * fit.valid; }

Subject make_subject(const FitResult& fit, const Renderer& renderer, const Tensor& photo) {
  const std::int64_t size = std::clamp(photo.dim(1), smallest_texture, largest_texture);
  const MeshSource source{.depth = fit.canonical.depth,
                          .mask = fit.canonical_mask,
                          .camera = renderer.camera(),
                          .texture_size = size,
                          .border_columns = Renderer::border_columns};
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

// Without the batch, and without the channel if there is one.
Tensor picture(const Tensor& x) { return x.reshape({x.dim(1), x.dim(2), x.dim(3)}); }
Tensor plane(const Tensor& x) { return x.reshape({x.dim(1), x.dim(2)}); }

// Camera depth in the input view, 0 where the mesh does not reach.
Tensor input_depth(const FitResult& fit) { return plane(fit.depth * fit.valid); }

const NamedImage& named(const std::vector<NamedImage>& images, const std::string& name) {
  for (const NamedImage& p : images)
    if (p.name == name) return p;
  fail(Errc::internal, "export", "no picture ", name);
}

// Results by name that are at hand.
struct OfFit {
  const char* name;
  Tensor (*get)(const FitResult& fit);
};
constexpr OfFit of_fit[] = {{"input", [](const FitResult& f) { return picture(f.target.image); }},
                            {"mask", [](const FitResult& f) { return plane(f.target.mask); }},
                            {"depth", input_depth},
                            {"normal", [](const FitResult& f) { return picture(f.canonical.normal); }},
                            {"albedo", [](const FitResult& f) { return picture(f.canonical.albedo); }},
                            {"canonical_depth", [](const FitResult& f) { return plane(f.canonical.depth); }},
                            {"canonical_mask", [](const FitResult& f) { return plane(f.canonical_mask); }},
                            {"texture", [](const FitResult& f) { return picture(f.texture); }},
                            {"reconstruction", [](const FitResult& f) { return picture(f.recon); }},
                            {"view", [](const FitResult& f) { return f.view.reshape({f.view.dim(1)}); }},
                            {"light", [](const FitResult& f) { return f.light.reshape({f.light.dim(1)}); }},
                            {"latent", [](const FitResult& f) { return f.target.latent; }},
                            {"projection", [](const FitResult& f) { return picture(f.target.gan_image); }}};

template <class To, class From, std::size_t N>
Tensor rows(const std::vector<std::array<From, N>>& values) {
  std::vector<To> all;
  for (const auto& row : values) all.insert(all.end(), row.begin(), row.end());
  return Tensor::from(all, {static_cast<std::int64_t>(values.size()), static_cast<std::int64_t>(N)}, Device{});
}

ViewerFrame viewer_frame(const Config& c) { return {c.rot_center_depth, 1 / (2 * std::tan(c.fov * M_PI / 360) * c.rot_center_depth)}; }

// As the files have it.
struct OfMesh {
  const char* name;
  Tensor (*get)(const TexturedMesh& mesh);
};
constexpr OfMesh of_mesh[] = {{"mesh.positions", [](const TexturedMesh& m) { return rows<float>(m.positions); }},
                              {"mesh.normals", [](const TexturedMesh& m) { return rows<float>(m.normals); }},
                              {"mesh.uvs", [](const TexturedMesh& m) { return rows<float>(m.uvs); }},
                              {"mesh.triangles", [](const TexturedMesh& m) { return rows<std::int32_t>(m.triangles); }}};
constexpr const char *mesh_texture = "mesh.texture", *at_a_glance = "overview";

// The folders and beginnings of the names of what FitResults::views() draws.
enum ViewKind : std::size_t { mesh_turns, gan_turns, mesh_lights, gan_lights };
constexpr const char* view_prefixes[] = {"views/mesh_", "views/gan_", "relight/mesh_", "relight/gan_"};

std::vector<std::string> view_names(std::size_t kind, const Config& config) {
  std::vector<std::string> out = kind == mesh_turns ? mesh_turn_names(config) : kind == gan_turns ? generated_turn_names(config) : relight_names();
  for (std::string& name : out) name = view_prefixes[kind] + name;
  return out;
}

struct AllViews {
  const std::vector<NamedImage>&mesh_turned, &gan_turned, &mesh_relit, &gan_relit;
};

Tensor overview_sheet(const FitResult& fit, const Config& config, const AllViews& views) {
  const Target& target = fit.target;
  std::vector<std::vector<Tile>> sheet(5);
  sheet[0] = {{to_unit(target.image), "input"},
              {target.mask, "mask"},
              {to_unit(target.gan_image), "generator's projection"},
              {to_unit(fit.recon), "reconstruction"},
              {depth_pixels(fit.depth, object_mask(fit), config).to(DType::f32) * (1.0 / 65535), "depth, input view"},
              {to_unit(fit.canonical.normal), "normals, canonical"},
              {to_unit(fit.canonical.albedo), "albedo"},
              {to_unit(fit.texture), "texture"},
              {grey_shape(fit.canonical.normal), "shape"}};
  auto add = [&](std::size_t row, const NamedImage& mesh, const NamedImage& gan) {
    sheet[row].push_back({mesh.image, "mesh " + mesh.name});
    sheet[row + 1].push_back({gan.image, "GAN " + gan.name});
  };
  constexpr std::size_t yaws = 9;
  for (std::size_t i = 0; i < views.mesh_turned.size(); ++i) add(i < yaws ? 1 : 3, views.mesh_turned[i], views.gan_turned[i]);
  for (const char* name : {"dx-1.5_dy0.0_a0.6", "dx-0.7_dy0.6_a0.6", "dx+0.7_dy0.6_a0.6", "dx+1.5_dy0.0_a0.6"})
    add(3, named(views.mesh_relit, name), named(views.gan_relit, name));
  return contact_sheet(sheet, fit_warnings(fit, config));
}

void write_mesh(const std::string& folder, const Subject& s, const Config& config) {
  const ViewerFrame frame = viewer_frame(config);
  std::string png = encode_png(image_to_pixels(s.mesh_texture));
  write_file(folder + "/texture.png", png);
  write_file(folder + "/mesh.obj", obj_text(s.mesh, frame, "mesh.mtl"));
  write_file(folder + "/mesh.mtl", mtl_text("texture.png"));
  write_file(folder + "/mesh.glb", glb_file(s.mesh, frame, png));
}

}  // namespace

const Subject& FitResults::subject() {
  if (!subject_) subject_.emplace(make_subject(fit_, method_.renderer, photo_));
  return *subject_;
}

const std::vector<NamedImage>& FitResults::views(std::size_t kind) {
  if (views_[kind]) return *views_[kind];
  if (kind == mesh_turns) return views_[kind].emplace(mesh_turned(subject(), method_, view_size(photo_)));
  if (kind == mesh_lights) return views_[kind].emplace(mesh_relit(subject(), method_, view_size(photo_)));
  if (!drawn_) drawn_.emplace(fit_, method_);
  return views_[kind].emplace(kind == gan_turns ? drawn_->turned() : drawn_->relit());
}

const Tensor& FitResults::overview() {
  if (!overview_) {
    const AllViews all{views(mesh_turns), views(gan_turns), views(mesh_lights), views(gan_lights)};
    overview_ = pixels(overview_sheet(fit_, method_.config, all));
  }
  return overview_;
}

std::vector<std::string> FitResults::names(const Config& config) {
  std::vector<std::string> out;
  for (const OfFit& r : of_fit) out.push_back(r.name);
  for (const OfMesh& r : of_mesh) out.push_back(r.name);
  out.push_back(mesh_texture);
  for (std::size_t kind = 0; kind < std::size(view_prefixes); ++kind)
    for (const std::string& name : view_names(kind, config)) out.push_back(name);
  out.push_back(at_a_glance);
  return out;
}

Tensor FitResults::get(const std::string& name) {
  NoGrad no_grad;
  for (const OfFit& r : of_fit)
    if (name == r.name) return r.get(fit_);
  for (const OfMesh& r : of_mesh)
    if (name == r.name) return r.get(in_frame(subject().mesh, viewer_frame(method_.config)));
  if (name == mesh_texture) return picture(image_to_pixels(subject().mesh_texture));
  if (name == at_a_glance) return picture(overview());
  for (std::size_t kind = 0; kind < views_.size(); ++kind) {
    const std::vector<std::string> all = view_names(kind, method_.config);
    const auto found = std::find(all.begin(), all.end(), name);
    if (found != all.end()) return picture(pixels(views(kind)[static_cast<std::size_t>(found - all.begin())].image));
  }
  fail(Errc::invalid_argument, "name", "'", name, "' is no result of a fit");
}

ExportReport FitResults::report() {
  NoGrad no_grad;
  const Subject& s = subject();
  return {static_cast<std::int64_t>(s.mesh.positions.size()), static_cast<std::int64_t>(s.mesh.triangles.size()), s.mesh_texture.dim(1)};
}

void FitResults::write(const std::string& folder) {
  NoGrad no_grad;
  const Config& config = method_.config;
  write_png(folder + "/overview.png", overview());
  write_png(folder + "/input.png", image_to_pixels(photo_));
  write_png(folder + "/mask.png", pixels(fit_.target.mask));
  write_png(folder + "/depth.png", depth_pixels(fit_.depth, object_mask(fit_), config));
  write_png(folder + "/normal.png", pixels(to_unit(fit_.canonical.normal)));
  write_png(folder + "/albedo.png", pixels(to_unit(fit_.canonical.albedo)));
  write_png(folder + "/shape.png", pixels(grey_shape(fit_.canonical.normal)));
  write_mesh(folder, subject(), config);
  for (const char* below : {"/views", "/relight"}) make_folders(folder + below);
  for (std::size_t kind = 0; kind < views_.size(); ++kind)
    for (const NamedImage& p : views(kind)) write_png(folder + "/" + view_prefixes[kind] + p.name + ".png", pixels(p.image));
  write_npy(folder + "/input_depth.npy", input_depth(fit_));
  write_safetensors(folder + "/latent.safetensors", {{"latent", fit_.target.latent}});
}

}  // namespace g2s
