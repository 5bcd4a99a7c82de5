// The images that the method is known for: the object turned and relit, as the mesh renders it and as the generator re-projects it.
#pragma once

#include <string>
#include <vector>

#include "engine/export.h"
#include "models/gan2shape/fit.h"
#include "models/gan2shape/mesh.h"

namespace g2s G2S_EXPORTED {

// An image and what it shows, in a form fit for a file name: "yaw-70", "dx-1.5_dy0.6_a0.3".
struct NamedImage {
  std::string name;
  Tensor image;  // f32 [1,H,W,3] in [0,1]
};

// From [-1,1] to [0,1], clamped.
Tensor to_unit(const Tensor& image);

// What is drawn: an object after its fit, with its mesh.
struct Subject {
  const FitResult& fit;
  TexturedMesh mesh;
  Tensor mesh_texture;  // f32 [1,T,T,3] in [-1,1]
};

// Turned: 9 yaws within 70 degrees (45 for cars and churches), then 5 pitches within 20.
// Relit: dx in {-1.5, -.7, 0, .7, 1.5}, dy in {0, .6}, a in {.3, .6}.

// The names alone, in the order of the images.
std::vector<std::string> mesh_turn_names(const Config& config);
std::vector<std::string> generated_turn_names(const Config& config);
std::vector<std::string> relight_names();

// Square images of `size` pixels.
std::vector<NamedImage> mesh_turned(const Subject& subject, const Method& method, std::int64_t size);
std::vector<NamedImage> mesh_relit(const Subject& subject, const Method& method, std::int64_t size);

// The same of a fit rendered with the method's own warp, then encoded and drawn by the generator, where the method's networks are.
class GanViews {
 public:
  GanViews(const FitResult& fit, const Method& method);
  std::vector<NamedImage> turned() const;
  std::vector<NamedImage> relit() const;

 private:
  Tensor rendering(const Tensor& texture, const Tensor& view) const;
  void reproject(std::vector<NamedImage>& images, const std::vector<Tensor>& rotations) const;

  const Method& method_;
  Device device_;
  Target target_;
  Canonical canonical_;
  Tensor texture_, view_, light_;
};

}  // namespace g2s
