#include "kernels/depth_mesh/depth_mesh.h"

#include <vector>

#include "engine/autograd.h"
#include "kernels/depth_mesh/depth_mesh_args.h"
#include "kernels/dispatch.h"

namespace g2s {
namespace {

constexpr const char* op = "rasterize_depth_mesh";

// What the backward kernel needs of the forward one.
struct Drawn {
  Tensor screen, samples;
};

template <class T>
kernels::DepthMeshArgs<T> args_of(const Tensor& points, const DepthMeshOptions& o) {
  kernels::DepthMeshArgs<T> a{};
  a.batch = points.dim(0);
  a.height = points.dim(1);
  a.width = points.dim(2);
  a.supersample = o.supersample;
  a.vertex_stride = points.on_cuda() ? a.width : kernels::mesh_vertex_stride(a.width);
  a.sample_stride = points.on_cuda() ? a.width * o.supersample : kernels::mesh_sample_stride(a.width * o.supersample);
  a.bands = kernels::mesh_bands(a.batch, a.height);
  a.focal = static_cast<T>(o.camera.focal);
  a.cx = static_cast<T>(o.camera.cx);
  a.cy = static_cast<T>(o.camera.cy);
  a.near = static_cast<T>(o.near);
  a.far = static_cast<T>(o.far);
  a.clamp_lo = static_cast<T>(o.clamp_lo);
  a.clamp_hi = static_cast<T>(o.clamp_hi);
  a.points = points.ptr<T>();
  return a;
}

Drawn draw(const Tensor& points, const DepthMeshOptions& options, Tensor& depth) {
  Drawn drawn;
  dispatch(points, [&](auto zero) {
    using T = decltype(zero);
    auto a = args_of<T>(points, options);
    DType dtype = points.dtype();
    Device device = points.device();
    Shape samples{a.batch, a.height * a.supersample, a.sample_stride};
    // The last vector of the last row, read one column further on, ends behind the planes.
    constexpr std::int64_t beyond = 16;
    drawn.screen = Tensor::empty({a.batch * 3 * a.height * a.vertex_stride + beyond}, dtype, device);
    drawn.samples = Tensor::empty(samples, DType::i32, device);
    a.screen = drawn.screen.template mutable_ptr<T>();
    a.samples = drawn.samples.template mutable_ptr<std::int32_t>();
    a.depth = depth.mutable_ptr<T>();
    Tensor row_range, z_buffer;
    if (points.on_cuda()) {
      z_buffer = Tensor::empty(samples, DType::f64, device);  // of 64 bits, whatever they mean
      a.keys = static_cast<unsigned long long*>(z_buffer.mutable_raw());
    } else {
      row_range = Tensor::empty({a.batch, a.height, 2}, dtype, device);
      z_buffer = Tensor::empty(samples, dtype, device);
      a.row_range = row_range.template mutable_ptr<T>();
      a.sample_depth = z_buffer.template mutable_ptr<T>();
    }
    kernels::depth_mesh_kernel(points.on_cuda(), a);
  });
  return drawn;
}

Tensor gradient(const Tensor& dy, const Tensor& points, const DepthMeshOptions& options, Drawn drawn) {
  Tensor dpoints = Tensor::empty(points.shape(), points.dtype(), points.device());
  dispatch(points, [&](auto zero) {
    using T = decltype(zero);
    auto a = args_of<T>(points, options);
    const Shape corners{4, 3, a.batch, a.height - 1, a.width - 1}, vertices{a.batch, a.bands, a.height, a.vertex_stride, 4};
    Tensor gather = Tensor::empty(points.on_cuda() ? corners : vertices, points.dtype(), points.device());
    std::vector<std::int64_t> range(static_cast<std::size_t>(points.on_cuda() ? 0 : 2 * a.batch * a.bands));
    a.screen = drawn.screen.template mutable_ptr<T>();
    a.samples = drawn.samples.template mutable_ptr<std::int32_t>();
    a.ddepth = dy.ptr<T>();
    a.gather = gather.mutable_ptr<T>();
    a.gather_range = range.data();
    a.dpoints = dpoints.mutable_ptr<T>();
    kernels::depth_mesh_backward_kernel(points.on_cuda(), a);
  });
  return no_second_derivative(dpoints, op, {dy, points});
}

void check_options(const Tensor& points, const DepthMeshOptions& o) {
  check(is_real(points.dtype()) && points.rank() == 4 && points.dim(3) == 3, op, "points must be [B,S,S,3] in f32 or f64, got ", describe(points));
  check(points.dim(1) > 1 && points.dim(2) > 1, op, "needs at least 2 x 2 points, got ", describe(points));
  if (o.supersample < 1 || o.supersample > 16) fail(Errc::invalid_argument, op, "supersample must be 1 to 16, got ", o.supersample);
  if (!(o.near > 0 && o.far > o.near)) fail(Errc::invalid_argument, op, "needs 0 < near < far, got ", o.near, " and ", o.far);
  if (!(o.clamp_lo <= o.clamp_hi)) fail(Errc::invalid_argument, op, "needs clamp_lo <= clamp_hi, got ", o.clamp_lo, " and ", o.clamp_hi);
  // Triangles and samples are numbered in 32 bits.
  std::int64_t vertices = points.dim(1) * kernels::mesh_vertex_stride(points.dim(2));
  std::int64_t samples = points.dim(1) * o.supersample * kernels::mesh_sample_stride(points.dim(2) * o.supersample);
  check(vertices < std::int64_t{1} << kernels::mesh_kind_shift && samples < std::int64_t{1} << 31, op, "takes fewer points or samples than ",
        describe(points), " with supersample ", o.supersample);
}

}  // namespace

Tensor rasterize_depth_mesh(const Tensor& points, const DepthMeshOptions& options) {
  check_options(points, options);
  Tensor depth = Tensor::empty({points.dim(0), points.dim(1), points.dim(2), 1}, points.dtype(), points.device());
  Drawn drawn = draw(points, options, depth);
  return record(depth, op, {points}, [points, options, drawn](const BackwardArgs& g) -> std::vector<Tensor> {
    return {gradient(g.dy, points, options, drawn)};
  });
}

}  // namespace g2s
