// A generator that turns a real face's portrait, for what follows landmarks: the shape is known.
#pragma once

#include <cmath>

#include "engine/image.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/matmul/matmul.h"
#include "models/face/finder.h"
#include "tests/support/face_world.h"

namespace g2s::test {

inline FaceFinder face_finder() {
  auto asset = [](const char* name) { return SafetensorsFile(source_path(str("assets/", name, ".safetensors"))); };
  return FaceFinder(asset("face_detector"), asset("face_landmarks"));
}

// A head whose nearest point is in its middle, x and y from -1 to 1.
inline double depth_at(double x, double y) { return 0.99 - 0.07 * std::exp(-2 * (x * x + y * y)); }

inline Tensor head(std::int64_t size) {
  std::vector<float> depth;
  auto place = [size](std::int64_t i) { return (2 * static_cast<double>(i) + 1) / static_cast<double>(size) - 1; };
  for (std::int64_t i = 0; i < size * size; ++i) depth.push_back(static_cast<float>(depth_at(place(i % size), place(i / size))));
  return Tensor::from(depth, {1, size, size, 1});
}

inline RendererConfig as_large_as_the_portrait(RendererConfig config) {
  config.size = 256;
  return config;
}

// Draws a portrait on a head, turned as the directions read a latent.
class TurnedPortrait : public Generator {
 public:
  TurnedPortrait(const PoseDirections& directions, const RendererConfig& config)
      : directions_(directions), renderer_(as_large_as_the_portrait(config)), dim_(directions.centre.dim(1)), portrait_(pixels_to_image(read_image(source_path("tests/images/portraits/astronaut_aligned256.png")).rgb)),
        identity_(Tensor::zeros({dim_, dim_})) {
    for (std::int64_t i = 0; i < dim_; ++i) identity_.mutable_data<float>()[i * (dim_ + 1)] = 1;
  }

  int size() const override { return 256; }
  std::int64_t style_dim() const override { return dim_; }
  int latents() const override { return 1; }
  int mapping_layers() const override { return 8; }
  NetworkMemory memory() const override { return {}; }
  const char* name() const override { return "turned portrait"; }
  const Tensor& latent_avg() const override { return none_; }

 private:
  std::pair<Tensor, Tensor> mapping_layer(int) const override { return {identity_, Tensor::zeros({dim_})}; }
  Tensor draw(const std::vector<Tensor>& latents) const override {
    const Tensor pose = directions_.offset + matmul(latents[0] - directions_.centre, directions_.predictor, false, true);
    const Tensor depth = head(256), units = aligned_views(renderer_, depth, rotations_from_pose(pose, directions_, renderer_.config()));
    const Pose seen = renderer_.pose(renderer_.view_from_units(units));
    return renderer_.reconstruct(portrait_, renderer_.inverse_grid(renderer_.warp_depth(depth, seen), seen));
  }
  const PoseDirections& directions_;
  Renderer renderer_;
  std::int64_t dim_;
  Tensor portrait_, none_, identity_;
};

struct Portrait {
  FaceWorld w{small_config()};
  TurnedPortrait generator{w.directions, w.small.config.renderer()};
  FaceFinder faces = face_finder();
  Target target;

  Portrait() {
    target.latent = w.directions.centre;
    target.rotations = target.drawn_rotations = Tensor::zeros({1, 2});
  }
};

}  // namespace g2s::test
