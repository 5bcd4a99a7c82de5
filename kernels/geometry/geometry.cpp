#include "kernels/geometry/geometry.h"

#include <vector>

#include "engine/autograd.h"
#include "kernels/geometry/geometry_args.h"

namespace g2s {
namespace {

constexpr double normal_epsilon = 1e-7;

// Runs launch(T{}) for the element type of x, on the CPU.
template <class Launch>
void dispatch(const char* op, const Tensor& x, Launch&& launch) {
  if (x.device().type != DeviceType::cpu) fail(Errc::unsupported, op, "has no kernel for ", x.device());
  if (x.dtype() == DType::f32) launch(float{});
  else launch(double{});
}

void check_real(const char* op, const Tensor& x) { check(is_real(x.dtype()), op, "needs f32 or f64, got ", describe(x)); }

void check_map(const char* op, const Tensor& x, std::int64_t channels, const char* what) {
  check_real(op, x);
  check(x.rank() == 4 && x.dim(3) == channels, op, what, " must be [B,H,W,", channels, "], got ", describe(x));
}

template <class T>
kernels::UnprojectArgs<T> unproject_args(const Shape& depth, Pinhole camera) {
  return {depth[0], depth[1], depth[2], static_cast<T>(1 / camera.focal), static_cast<T>(camera.cx), static_cast<T>(camera.cy),
          nullptr, nullptr, nullptr, nullptr};
}

Tensor unproject_gradient(const Tensor& dy, const Shape& shape, Pinhole camera) {
  Tensor ddepth = Tensor::empty(shape, dy.dtype(), dy.device());
  dispatch("unproject", dy, [&](auto zero) {
    using T = decltype(zero);
    auto args = unproject_args<T>(shape, camera);
    args.dpoints = dy.data<T>();
    args.ddepth = ddepth.mutable_data<T>();
    kernels::unproject_backward_kernel(args);
  });
  return once(ddepth, "unproject", {dy});
}

Tensor rotation_gradient(const Tensor& dy, const Tensor& angles) {
  Tensor dangles = Tensor::empty(angles.shape(), angles.dtype(), angles.device());
  dispatch("rotation_matrix", angles, [&](auto zero) {
    using T = decltype(zero);
    kernels::rotation_backward_kernel(kernels::RotationArgs<T>{angles.dim(0), angles.data<T>(), nullptr, dy.data<T>(), dangles.mutable_data<T>()});
  });
  return once(dangles, "rotation_matrix", {dy, angles});
}

template <class T>
kernels::RigidArgs<T> rigid_args(const Tensor& points, const Tensor& rotation, const Tensor& translation, double center, bool inverse) {
  return {rotation.dim(0), points.dim(0), points.dim(1) * points.dim(2), static_cast<T>(center), inverse, points.data<T>(),
          rotation.data<T>(), translation.data<T>(), nullptr, nullptr, nullptr, nullptr};
}

// Adds the blocks' sums in their order.
template <class T>
void merge_pose(const Tensor& partial, Tensor& drotation, Tensor& dtranslation) {
  const double* p = partial.data<double>();
  std::int64_t batch = partial.dim(0), blocks = partial.dim(1);
  for (std::int64_t b = 0; b < batch; ++b)
    for (int i = 0; i < 12; ++i) {
      double total = 0;
      for (std::int64_t k = 0; k < blocks; ++k) total += p[(b * blocks + k) * 12 + i];
      if (i < 9) drotation.mutable_data<T>()[9 * b + i] = static_cast<T>(total);
      else dtranslation.mutable_data<T>()[3 * b + i - 9] = static_cast<T>(total);
    }
}

std::vector<Tensor> rigid_gradient(const BackwardArgs& g, const Tensor& points, const Tensor& rotation, const Tensor& translation, double center,
                                   bool inverse) {
  DType dtype = points.dtype();
  Device device = points.device();
  Tensor dpoints, drotation, dtranslation, partial;
  if (g.needs[0]) dpoints = Tensor::empty(points.shape(), dtype, device);
  if (g.needs[1] || g.needs[2]) {
    partial = Tensor::empty({rotation.dim(0), kernels::rigid_blocks(points.dim(1) * points.dim(2)), 12}, DType::f64, device);
    drotation = Tensor::empty(rotation.shape(), dtype, device);
    dtranslation = Tensor::empty(translation.shape(), dtype, device);
  }
  dispatch("rigid_transform", points, [&](auto zero) {
    using T = decltype(zero);
    auto args = rigid_args<T>(points, rotation, translation, center, inverse);
    args.dout = g.dy.data<T>();
    if (dpoints) args.dpoints = dpoints.mutable_data<T>();
    if (partial) args.partial = partial.mutable_data<double>();
    kernels::rigid_backward_kernel(args);
    if (partial) merge_pose<T>(partial, drotation, dtranslation);
  });
  std::vector<Tensor> result{dpoints, drotation, dtranslation}, inputs{g.dy, points, rotation, translation};
  for (Tensor& t : result)
    if (t) t = once(t, "rigid_transform", inputs);
  return result;
}

// 2u/(W-1) - 1 with u = X/Z focal + cx, as a scale and an offset of X/Z.
template <class T>
kernels::ProjectArgs<T> project_args(const Tensor& points, Pinhole camera) {
  double sx = 2.0 / static_cast<double>(points.dim(2) - 1), sy = 2.0 / static_cast<double>(points.dim(1) - 1);
  return {points.numel() / 3, static_cast<T>(camera.focal * sx), static_cast<T>(camera.cx * sx - 1), static_cast<T>(camera.focal * sy),
          static_cast<T>(camera.cy * sy - 1), points.data<T>(), nullptr, nullptr, nullptr};
}

Tensor project_gradient(const Tensor& dy, const Tensor& points, Pinhole camera) {
  Tensor dpoints = Tensor::empty(points.shape(), points.dtype(), points.device());
  dispatch("project_to_grid", points, [&](auto zero) {
    using T = decltype(zero);
    auto args = project_args<T>(points, camera);
    args.dgrid = dy.data<T>();
    args.dpoints = dpoints.mutable_data<T>();
    kernels::project_backward_kernel(args);
  });
  return once(dpoints, "project_to_grid", {dy, points});
}

template <class T>
kernels::NormalsArgs<T> normals_args(const Tensor& depth, Pinhole camera) {
  return {depth.dim(0), depth.dim(1), depth.dim(2), static_cast<T>(1 / camera.focal), static_cast<T>(camera.cx), static_cast<T>(camera.cy),
          static_cast<T>(normal_epsilon), depth.data<T>(), nullptr, nullptr, nullptr, nullptr};
}

Tensor normals_gradient(const Tensor& dy, const Tensor& depth, Pinhole camera) {
  Tensor ddepth = Tensor::empty(depth.shape(), depth.dtype(), depth.device());
  Tensor tangents = Tensor::empty({6, depth.numel()}, depth.dtype(), depth.device());
  dispatch("normals_from_depth", depth, [&](auto zero) {
    using T = decltype(zero);
    auto args = normals_args<T>(depth, camera);
    args.dnormals = dy.data<T>();
    args.tangents = tangents.mutable_data<T>();
    args.ddepth = ddepth.mutable_data<T>();
    kernels::normals_backward_kernel(args);
  });
  return once(ddepth, "normals_from_depth", {dy, depth});
}

}  // namespace

Tensor unproject(const Tensor& depth, Pinhole camera) {
  check_map("unproject", depth, 1, "depth");
  Tensor points = Tensor::empty({depth.dim(0), depth.dim(1), depth.dim(2), 3}, depth.dtype(), depth.device());
  dispatch("unproject", depth, [&](auto zero) {
    using T = decltype(zero);
    auto args = unproject_args<T>(depth.shape(), camera);
    args.depth = depth.data<T>();
    args.points = points.mutable_data<T>();
    kernels::unproject_kernel(args);
  });
  return record(points, "unproject", {depth}, [shape = depth.shape(), camera](const BackwardArgs& g) -> std::vector<Tensor> {
    return {unproject_gradient(g.dy, shape, camera)};
  });
}

Tensor rotation_matrix(const Tensor& angles) {
  check_real("rotation_matrix", angles);
  check(angles.rank() == 2 && angles.dim(1) == 3, "rotation_matrix", "angles must be [B,3], got ", describe(angles));
  Tensor matrices = Tensor::empty({angles.dim(0), 3, 3}, angles.dtype(), angles.device());
  dispatch("rotation_matrix", angles, [&](auto zero) {
    using T = decltype(zero);
    kernels::rotation_kernel(kernels::RotationArgs<T>{angles.dim(0), angles.data<T>(), matrices.mutable_data<T>(), nullptr, nullptr});
  });
  return record(matrices, "rotation_matrix", {angles},
                [angles](const BackwardArgs& g) -> std::vector<Tensor> { return {rotation_gradient(g.dy, angles)}; });
}

Tensor rigid_transform(const Tensor& points, const Tensor& rotation, const Tensor& translation, double center, bool inverse) {
  const char* op = "rigid_transform";
  check_map(op, points, 3, "points");
  bool fits = rotation.rank() == 3 && rotation.dim(1) == 3 && rotation.dim(2) == 3 && translation.rank() == 2 && translation.dim(1) == 3 &&
              translation.dim(0) == rotation.dim(0) && (points.dim(0) == 1 || points.dim(0) == rotation.dim(0)) &&
              rotation.dtype() == points.dtype() && translation.dtype() == points.dtype();
  check(fits, op, "needs points [B or 1,H,W,3], rotation [B,3,3] and translation [B,3] of one type, got ", describe(points), ", ", describe(rotation),
        ", ", describe(translation));
  Tensor out = Tensor::empty({rotation.dim(0), points.dim(1), points.dim(2), 3}, points.dtype(), points.device());
  dispatch(op, points, [&](auto zero) {
    using T = decltype(zero);
    auto args = rigid_args<T>(points, rotation, translation, center, inverse);
    args.out = out.mutable_data<T>();
    kernels::rigid_kernel(args);
  });
  return record(out, op, {points, rotation, translation}, [points, rotation, translation, center, inverse](const BackwardArgs& g) {
    return rigid_gradient(g, points, rotation, translation, center, inverse);
  });
}

Tensor project_to_grid(const Tensor& points, Pinhole camera) {
  check_map("project_to_grid", points, 3, "points");
  check(points.dim(1) > 1 && points.dim(2) > 1, "project_to_grid", "needs at least 2 x 2 pixels, got ", describe(points));
  Tensor grid = Tensor::empty({points.dim(0), points.dim(1), points.dim(2), 2}, points.dtype(), points.device());
  dispatch("project_to_grid", points, [&](auto zero) {
    using T = decltype(zero);
    auto args = project_args<T>(points, camera);
    args.grid = grid.mutable_data<T>();
    kernels::project_kernel(args);
  });
  return record(grid, "project_to_grid", {points},
                [points, camera](const BackwardArgs& g) -> std::vector<Tensor> { return {project_gradient(g.dy, points, camera)}; });
}

Tensor normals_from_depth(const Tensor& depth, Pinhole camera) {
  check_map("normals_from_depth", depth, 1, "depth");
  check(depth.dim(1) > 1 && depth.dim(2) > 1, "normals_from_depth", "needs at least 2 x 2 pixels, got ", describe(depth));
  Tensor normals = Tensor::empty({depth.dim(0), depth.dim(1), depth.dim(2), 3}, depth.dtype(), depth.device());
  dispatch("normals_from_depth", depth, [&](auto zero) {
    using T = decltype(zero);
    auto args = normals_args<T>(depth, camera);
    args.normals = normals.mutable_data<T>();
    kernels::normals_kernel(args);
  });
  return record(normals, "normals_from_depth", {depth},
                [depth, camera](const BackwardArgs& g) -> std::vector<Tensor> { return {normals_gradient(g.dy, depth, camera)}; });
}

}  // namespace g2s
