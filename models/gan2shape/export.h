// The results of a finished fit, by name and as the files of a folder.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "engine/export.h"
#include "models/gan2shape/fit.h"
#include "models/gan2shape/views.h"

namespace g2s G2S_EXPORTED {

// Figures of the mesh, for result.json.
struct ExportReport {
  std::int64_t vertices = 0, triangles = 0, texture_size = 0;
};

// What takes time, such as the mesh and the views, is made when it is first asked for, and kept. All depends on the arguments of the constructor
// alone. For one thread at a time.
class FitResults {
 public:
  // `photo`, f32 [1,N,N,3] in [-1,1], is the square image that the S x S input was made from, at its own resolution. The method is the fit's:
  // its networks draw the generator's views. It outlives the results.
  FitResults(const FitResult& fit, const Method& method, const Tensor& photo) : fit_(fit), method_(method), photo_(photo) {}
  FitResults(const FitResults&) = delete;

  const FitResult& fit() const { return fit_; }
  // What get() gives, on the CPU: "depth", "mesh.positions", "views/mesh_yaw+35.0", "overview", ... The C interface says what each one is.
  static std::vector<std::string> names(const Config& config);
  Tensor get(const std::string& name);  // throws naming it
  ExportReport report();
  // Overview, mask, depth, normal, albedo, shape and texture images, views/, relight/, mesh.obj, mesh.mtl, mesh.glb, input_depth.npy and
  // latent.safetensors. The folder exists.
  void write(const std::string& folder);

 private:
  const Subject& subject();
  const std::vector<NamedImage>& views(std::size_t kind);
  const Tensor& overview();

  const FitResult fit_;
  const Method& method_;
  const Tensor photo_;
  std::optional<Subject> subject_;
  std::optional<GanViews> drawn_;
  std::array<std::optional<std::vector<NamedImage>>, 4> views_;  // turned and relit, of the mesh and of the generator
  Tensor overview_;  // u8 [1,H,W,3]
};

}  // namespace g2s
