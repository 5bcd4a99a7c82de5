#include "kernels/grid_sample/grid_sample.h"

#include <vector>

#include "engine/autograd.h"
#include "kernels/dispatch.h"
#include "kernels/grid_sample/grid_sample_args.h"

namespace g2s {
namespace {

template <class T>
kernels::GridSampleArgs<T> args_of(const Tensor& x, const Tensor& grid, Sampling mode) {
  kernels::GridSampleArgs<T> a{};
  a.batch = grid.dim(0);
  a.x_batch = x.dim(0);
  a.height = x.dim(1);
  a.width = x.dim(2);
  a.rows = grid.dim(1);
  a.columns = grid.dim(2);
  a.channels = x.dim(3);
  a.nearest = mode == Sampling::nearest;
  a.x = x.ptr<T>();
  a.grid = grid.ptr<T>();
  a.chunks = kernels::grid_sample_chunks(a.x_batch, a.batch, a.rows);
  return a;
}

std::vector<Tensor> gradient(const BackwardArgs& g, const Tensor& x, const Tensor& grid, Sampling mode) {
  Tensor dx, dgrid, scratch, partial;
  if (g.needs[0]) dx = Tensor::empty(x.shape(), x.dtype(), x.device());
  if (g.needs[1])
    dgrid = mode == Sampling::nearest ? Tensor::zeros(grid.shape(), grid.dtype(), grid.device())
                                      : Tensor::empty(grid.shape(), grid.dtype(), grid.device());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    auto a = args_of<T>(x, grid, mode);
    a.dy = g.dy.ptr<T>();
    if (dgrid && mode == Sampling::bilinear) a.dgrid = dgrid.mutable_ptr<T>();
    if (dx) a.dx = dx.mutable_ptr<T>();
    if (dx && x.on_cuda()) {
      const std::int64_t positions = a.batch * a.rows * a.columns;
      scratch = Tensor::empty({kernels::grid_sample_scratch(a.x_batch, a.height, a.width, positions)}, DType::i32, x.device());
      a.scratch = scratch.template mutable_ptr<std::int32_t>();
      partial = Tensor::empty({kernels::grid_sample_parts(positions), 4, a.channels}, x.dtype(), x.device());
      a.partial = partial.template mutable_ptr<T>();
    } else if (dx && a.chunks > 1) {
      partial = Tensor::empty({a.chunks, x.numel()}, x.dtype(), x.device());
      a.partial = partial.template mutable_ptr<T>();
    }
    kernels::grid_sample_backward_kernel(x.on_cuda(), a);
  });
  std::vector<Tensor> result{dx, dgrid}, inputs{g.dy, x, grid};
  for (Tensor& t : result)
    if (t) t = no_second_derivative(t, "grid_sample", inputs);
  return result;
}

}  // namespace

Tensor grid_sample(const Tensor& x, const Tensor& grid, Sampling mode) {
  bool fits = x.rank() == 4 && grid.rank() == 4 && grid.dim(3) == 2 && (x.dim(0) == 1 || x.dim(0) == grid.dim(0)) && x.dtype() == grid.dtype() &&
              is_real(x.dtype());
  check(fits, "grid_sample", "needs x [B or 1,H,W,C] and grid [B,h,w,2], both f32 or both f64, got x ", describe(x), ", grid ", describe(grid));
  check(x.numel() > 0 && x.dim(1) * x.dim(2) < std::int64_t{1} << 31, "grid_sample", "x ", describe(x), " has no pixels, or too many");
  check(x.device() == grid.device(), "grid_sample", "operands on ", x.device(), " and ", grid.device());
  // On CUDA positions and cells of pixels are numbered in 32 bits.
  const std::int64_t most = std::int64_t{1} << 31, positions = grid.numel() / 2, cells = x.dim(0) * (x.dim(1) + 1) * (x.dim(2) + 1);
  check(!x.on_cuda() || (positions < most && cells < most), "grid_sample", "x ", describe(x), " or grid ", describe(grid), " is too large");
  Tensor y = Tensor::empty({grid.dim(0), grid.dim(1), grid.dim(2), x.dim(3)}, x.dtype(), x.device());
  dispatch(x, [&](auto zero) {
    using T = decltype(zero);
    auto a = args_of<T>(x, grid, mode);
    a.y = y.mutable_ptr<T>();
    kernels::grid_sample_kernel(x.on_cuda(), a);
  });
  return record(y, "grid_sample", {x, grid}, [x, grid, mode](const BackwardArgs& g) { return gradient(g, x, grid, mode); });
}

}  // namespace g2s
