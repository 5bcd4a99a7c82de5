#include "models/gan2shape/scene.h"

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/shape/shape.h"

namespace g2s {

Canonical mirrored(const Renderer& renderer, const Canonical& c) {
  Tensor depth = flip(c.depth, 2);
  return {depth, renderer.normals(depth), c.albedo ? flip(c.albedo, 2) : Tensor()};
}

Shading shade(const Renderer& renderer, const Tensor& normal, const Tensor& light) {
  const Light l = renderer.light(light);
  Tensor diffuse = renderer.diffuse_shading(normal, l.direction);
  return {diffuse, renderer.shading(l, diffuse)};
}

Shading shade_randomly(const Renderer& renderer, const Tensor& normal, const Tensor& light, const Tensor& random, double alpha) {
  check(random.rank() == 2 && random.dim(1) == 3, "shade_randomly", "random lights must be [N,3], got ", describe(random));
  Light l = renderer.light(light);
  const Tensor a = slice(random, 1, 2, 3).reshape({random.dim(0), 1, 1, 1});
  l.ambient = l.ambient + a * alpha;
  l.diffuse = l.diffuse + a;
  l.direction = renderer.direction(slice(random, 1, 0, 2));
  Tensor diffuse = renderer.diffuse_shading(normal, l.direction);
  return {diffuse, renderer.shading(l, diffuse)};
}

Warp warp(const Renderer& renderer, const Tensor& depth, const Tensor& view) {
  const Pose pose = renderer.pose(view);
  Warp out;
  out.depth = renderer.warp_depth(depth, pose);
  out.grid = renderer.inverse_grid(out.depth, pose);
  out.valid = renderer.valid(out.depth.detach());
  return out;
}

void share_valid(std::vector<Rendering>& copies) {
  NoGrad no_grad;
  Tensor valid = copies[0].warp.valid;
  for (std::size_t i = 1; i < copies.size(); ++i) valid = valid * copies[i].warp.valid;
  for (Rendering& r : copies) r.valid = valid;
}

}  // namespace g2s
