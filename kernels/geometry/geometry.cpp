#include "kernels/geometry/geometry.h"

#include <vector>

#include "engine/autograd.h"
#include "kernels/dispatch.h"
#include "kernels/geometry/geometry_args.h"

namespace g2s {
namespace {

constexpr double normal_epsilon = 1e-7;

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
  dispatch(dy, [&](auto zero) {
    using T = decltype(zero);
    auto args = unproject_args<T>(shape, camera);
    args.dpoints = dy.ptr<T>();
    args.ddepth = ddepth.mutable_ptr<T>();
    kernels::unproject_backward_kernel(dy.on_cuda(), args);
  });
  return no_second_derivative(ddepth, "unproject", {dy});
}

Tensor rotation_gradient(const Tensor& dy, const Tensor& angles) {
  Tensor dangles = Tensor::empty(angles.shape(), angles.dtype(), angles.device());
  dispatch(angles, [&](auto zero) {
    using T = decltype(zero);
    const kernels::RotationArgs<T> args{angles.dim(0), angles.ptr<T>(), nullptr, dy.ptr<T>(), dangles.mutable_ptr<T>()};
    kernels::rotation_backward_kernel(angles.on_cuda(), args);
  });
  return no_second_derivative(dangles, "rotation_matrix", {dy, angles});
}

template <class T>
kernels::RigidArgs<T> rigid_args(const Tensor& points, const Tensor& rotation, const Tensor& translation, double center, bool inverse) {
  return {rotation.dim(0), points.dim(0), points.dim(1) * points.dim(2), static_cast<T>(center), inverse, points.ptr<T>(),
          rotation.ptr<T>(), translation.ptr<T>(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
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
  dispatch(points, [&](auto zero) {
    using T = decltype(zero);
    auto args = rigid_args<T>(points, rotation, translation, center, inverse);
    args.dout = g.dy.ptr<T>();
    if (dpoints) args.dpoints = dpoints.mutable_ptr<T>();
    if (partial) {
      args.partial = partial.mutable_ptr<double>();
      args.drotation = drotation.mutable_ptr<T>();
      args.dtranslation = dtranslation.mutable_ptr<T>();
    }
    kernels::rigid_backward_kernel(points.on_cuda(), args);
  });
  std::vector<Tensor> result{dpoints, drotation, dtranslation}, inputs{g.dy, points, rotation, translation};
  for (Tensor& t : result)
    if (t) t = no_second_derivative(t, "rigid_transform", inputs);
  return result;
}

// 2u/(W-1) - 1 with u = X/Z focal + cx, as a scale and an offset of X/Z.
template <class T>
kernels::ProjectArgs<T> project_args(const Tensor& points, Pinhole camera) {
  double sx = 2.0 / static_cast<double>(points.dim(2) - 1), sy = 2.0 / static_cast<double>(points.dim(1) - 1);
  return {points.numel() / 3, static_cast<T>(camera.focal * sx), static_cast<T>(camera.cx * sx - 1), static_cast<T>(camera.focal * sy),
          static_cast<T>(camera.cy * sy - 1), points.ptr<T>(), nullptr, nullptr, nullptr};
}

Tensor project_gradient(const Tensor& dy, const Tensor& points, Pinhole camera) {
  Tensor dpoints = Tensor::empty(points.shape(), points.dtype(), points.device());
  dispatch(points, [&](auto zero) {
    using T = decltype(zero);
    auto args = project_args<T>(points, camera);
    args.dgrid = dy.ptr<T>();
    args.dpoints = dpoints.mutable_ptr<T>();
    kernels::project_backward_kernel(points.on_cuda(), args);
  });
  return no_second_derivative(dpoints, "project_to_grid", {dy, points});
}

template <class T>
kernels::NormalsArgs<T> normals_args(const Tensor& depth, Pinhole camera) {
  return {depth.dim(0), depth.dim(1), depth.dim(2), static_cast<T>(1 / camera.focal), static_cast<T>(camera.cx), static_cast<T>(camera.cy),
          static_cast<T>(normal_epsilon), depth.ptr<T>(), nullptr, nullptr, nullptr, nullptr};
}

Tensor normals_gradient(const Tensor& dy, const Tensor& depth, Pinhole camera) {
  Tensor ddepth = Tensor::empty(depth.shape(), depth.dtype(), depth.device());
  Tensor tangents;
  if (!depth.on_cuda()) tangents = Tensor::empty({6, depth.numel()}, depth.dtype(), depth.device());
  dispatch(depth, [&](auto zero) {
    using T = decltype(zero);
    auto args = normals_args<T>(depth, camera);
    args.dnormals = dy.ptr<T>();
    if (tangents) args.tangents = tangents.mutable_ptr<T>();
    args.ddepth = ddepth.mutable_ptr<T>();
    kernels::normals_backward_kernel(depth.on_cuda(), args);
  });
  return no_second_derivative(ddepth, "normals_from_depth", {dy, depth});
}

}  // namespace

Tensor unproject(const Tensor& depth, Pinhole camera) {
  check_map("unproject", depth, 1, "depth");
  Tensor points = Tensor::empty({depth.dim(0), depth.dim(1), depth.dim(2), 3}, depth.dtype(), depth.device());
  dispatch(depth, [&](auto zero) {
    using T = decltype(zero);
    auto args = unproject_args<T>(depth.shape(), camera);
    args.depth = depth.ptr<T>();
    args.points = points.mutable_ptr<T>();
    kernels::unproject_kernel(depth.on_cuda(), args);
  });
  return record(points, "unproject", {depth}, [shape = depth.shape(), camera](const BackwardArgs& g) -> std::vector<Tensor> {
    return {unproject_gradient(g.dy, shape, camera)};
  });
}

Tensor rotation_matrix(const Tensor& angles) {
  check_real("rotation_matrix", angles);
  check(angles.rank() == 2 && angles.dim(1) == 3, "rotation_matrix", "angles must be [B,3], got ", describe(angles));
  Tensor matrices = Tensor::empty({angles.dim(0), 3, 3}, angles.dtype(), angles.device());
  dispatch(angles, [&](auto zero) {
    using T = decltype(zero);
    const kernels::RotationArgs<T> args{angles.dim(0), angles.ptr<T>(), matrices.mutable_ptr<T>(), nullptr, nullptr};
    kernels::rotation_kernel(angles.on_cuda(), args);
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
  check(points.device() == rotation.device() && points.device() == translation.device(), op, "operands on ", points.device(), ", ",
        rotation.device(), " and ", translation.device());
  Tensor out = Tensor::empty({rotation.dim(0), points.dim(1), points.dim(2), 3}, points.dtype(), points.device());
  dispatch(points, [&](auto zero) {
    using T = decltype(zero);
    auto args = rigid_args<T>(points, rotation, translation, center, inverse);
    args.out = out.mutable_ptr<T>();
    kernels::rigid_kernel(points.on_cuda(), args);
  });
  return record(out, op, {points, rotation, translation}, [points, rotation, translation, center, inverse](const BackwardArgs& g) {
    return rigid_gradient(g, points, rotation, translation, center, inverse);
  });
}

Tensor project_to_grid(const Tensor& points, Pinhole camera) {
  check_map("project_to_grid", points, 3, "points");
  check(points.dim(1) > 1 && points.dim(2) > 1, "project_to_grid", "needs at least 2 x 2 pixels, got ", describe(points));
  Tensor grid = Tensor::empty({points.dim(0), points.dim(1), points.dim(2), 2}, points.dtype(), points.device());
  dispatch(points, [&](auto zero) {
    using T = decltype(zero);
    auto args = project_args<T>(points, camera);
    args.grid = grid.mutable_ptr<T>();
    kernels::project_kernel(points.on_cuda(), args);
  });
  return record(grid, "project_to_grid", {points},
                [points, camera](const BackwardArgs& g) -> std::vector<Tensor> { return {project_gradient(g.dy, points, camera)}; });
}

Tensor normals_from_depth(const Tensor& depth, Pinhole camera) {
  check_map("normals_from_depth", depth, 1, "depth");
  check(depth.dim(1) > 1 && depth.dim(2) > 1, "normals_from_depth", "needs at least 2 x 2 pixels, got ", describe(depth));
  Tensor normals = Tensor::empty({depth.dim(0), depth.dim(1), depth.dim(2), 3}, depth.dtype(), depth.device());
  dispatch(depth, [&](auto zero) {
    using T = decltype(zero);
    auto args = normals_args<T>(depth, camera);
    args.normals = normals.mutable_ptr<T>();
    kernels::normals_kernel(depth.on_cuda(), args);
  });
  return record(normals, "normals_from_depth", {depth},
                [depth, camera](const BackwardArgs& g) -> std::vector<Tensor> { return {normals_gradient(g.dy, depth, camera)}; });
}

}  // namespace g2s
