#include "kernels/reduce/reduce.h"

#include "engine/autograd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/reduce/reduce_args.h"

namespace g2s {
namespace {

using Gradients = std::vector<Tensor>;
using Axes = std::vector<bool>;

void run_sum(kernels::SumArgs args, Device device) {
  const bool on_cuda = device.type == DeviceType::cuda;
  const std::int64_t partials = on_cuda ? kernels::sum_grid(args).partials(args) : kernels::sum_tiling(args).partials(args);
  Tensor partial = Tensor::empty({partials}, DType::f64, device);
  args.partial = partials ? partial.mutable_ptr<double>() : nullptr;
  kernels::sum(on_cuda, args);
}

// Sums over the marked axes, which stay with size 1; weighted by w if that is defined.
Tensor reduce(Tensor x, Tensor w, const Axes& marked, double scale) {
  Shape shape = x.shape();
  // The innermost run of marked axes first: it shrinks what the other passes read. Axes of size 1 join any run.
  for (int last = shape.rank() - 1;;) {
    while (last >= 0 && (!marked[last] || shape[last] == 1)) --last;
    int first = last;
    while (first > 0 && (marked[first - 1] || shape[first - 1] == 1)) --first;
    kernels::SumArgs args{x.dtype() == DType::f64, 1, 1, 1, x.raw(), w ? w.raw() : nullptr, nullptr, scale, nullptr};
    for (int d = 0; d < shape.rank(); ++d) {
      (d < first ? args.outer : d <= last ? args.reduced : args.inner) *= shape[d];
      if (d >= first && d <= last) shape[d] = 1;
    }
    Tensor y = shape.numel() ? Tensor::empty(shape, x.dtype(), x.device()) : Tensor::zeros(shape, x.dtype(), x.device());
    args.y = y.mutable_raw();
    if (x.numel() == 0) y = Tensor::zeros(shape, x.dtype(), x.device());
    else run_sum(args, x.device());
    x = y;
    w = {};
    scale = 1;
    last = first - 1;
    bool more = false;
    for (int d = 0; d <= last; ++d) more = more || (marked[d] && shape[d] != 1);
    if (!more) return x;
  }
}

// Axes along which `shape` is broadcast when it meets x.
Axes broadcast_axes(const char* op, const Tensor& x, const Shape& shape) {
  int shift = x.rank() - shape.rank();
  bool fits = shift >= 0;
  Axes marked(static_cast<std::size_t>(x.rank()), true);
  for (int d = 0; fits && d < shape.rank(); ++d) {
    fits = shape[d] == 1 || shape[d] == x.dim(d + shift);
    marked[d + shift] = shape[d] == 1;
  }
  check(fits, op, shape, " does not broadcast to ", describe(x));
  return marked;
}

Tensor sum_axes(const char* op, const Tensor& x, const std::vector<int>& axes, bool keepdim, bool average) {
  check(is_real(x.dtype()), op, "needs f32 or f64, got ", describe(x));
  Axes marked(static_cast<std::size_t>(x.rank()), false);
  for (int axis : axes) {
    int d = axis < 0 ? axis + x.rank() : axis;
    if (d < 0 || d >= x.rank()) fail(Errc::invalid_argument, op, "axis ", axis, " of ", describe(x));
    if (marked[d]) fail(Errc::invalid_argument, op, "axis ", axis, " is given twice (x ", describe(x), ")");
    marked[d] = true;
  }
  Shape kept, wide = x.shape();
  std::int64_t count = 1;
  for (int d = 0; d < x.rank(); ++d) {
    if (!marked[d]) {
      kept.push_back(x.dim(d));
      continue;
    }
    count *= x.dim(d);
    wide[d] = 1;
  }
  double scale = average ? 1.0 / static_cast<double>(count) : 1.0;
  Tensor y = reduce(x.detach(), {}, marked, scale).reshape(keepdim ? wide : kept);
  return record(y, op, {x}, [from = x.shape(), wide, scale](const BackwardArgs& g) {
    Tensor dy = scale == 1 ? g.dy : affine(g.dy, scale, 0);
    return Gradients{broadcast_to(dy.reshape(wide), from)};
  });
}

std::vector<int> all_axes(const Tensor& x) {
  std::vector<int> axes;
  for (int d = 0; d < x.rank(); ++d) axes.push_back(d);
  return axes;
}

Tensor extreme(const char* op, const Tensor& x, int which) {
  check(is_real(x.dtype()) && x.numel() > 0, op, "needs f32 or f64 and an element, got ", describe(x));
  Tensor both = Tensor::empty({x.on_cuda() ? kernels::min_max_room(x.numel()) : 2}, x.dtype(), x.device());
  kernels::min_max(x.on_cuda(), {x.dtype() == DType::f64, x.numel(), x.raw(), both.mutable_raw()});
  return Tensor::wrap(both.storage(), {}, x.dtype(), static_cast<std::size_t>(which) * size_of(x.dtype()));
}

}  // namespace

Tensor sum(const Tensor& x, const std::vector<int>& axes, bool keepdim) { return sum_axes("sum", x, axes, keepdim, false); }
Tensor sum(const Tensor& x) { return sum(x, all_axes(x)); }
Tensor mean(const Tensor& x, const std::vector<int>& axes, bool keepdim) { return sum_axes("mean", x, axes, keepdim, true); }
Tensor mean(const Tensor& x) { return mean(x, all_axes(x)); }

Tensor sum_to(const Tensor& x, const Shape& shape) {
  check(is_real(x.dtype()), "sum_to", "needs f32 or f64, got ", describe(x));
  Axes marked = broadcast_axes("sum_to", x, shape);
  Tensor y = x.numel() == shape.numel() && x.numel() ? x.detach() : reduce(x.detach(), {}, marked, 1);
  return record(y.reshape(shape), "sum_to", {x}, [from = x.shape()](const BackwardArgs& g) { return Gradients{broadcast_to(g.dy, from)}; });
}

Tensor dot_to(const Tensor& a, const Tensor& b, const Shape& shape) {
  check(is_real(a.dtype()) && a.dtype() == b.dtype() && a.shape() == b.shape() && a.device() == b.device(), "dot_to",
        "needs two tensors of one shape and dtype, f32 or f64, got ", describe(a), " and ", describe(b));
  Axes marked = broadcast_axes("dot_to", a, shape);
  Tensor y = reduce(a.detach(), b.detach(), marked, 1);
  return record(y.reshape(shape), "dot_to", {a, b}, [a, b](const BackwardArgs& g) {
    return Gradients{g.needs[0] ? mul(g.dy, b) : Tensor{}, g.needs[1] ? mul(g.dy, a) : Tensor{}};
  });
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  Shape common = broadcast_shapes("broadcast_to", x.shape(), shape);
  check(common == shape, "broadcast_to", describe(x), " to ", shape);
  BackwardFn fn = [from = x.shape()](const BackwardArgs& g) { return Gradients{sum_to(g.dy, from)}; };
  if (shape.numel() == x.numel()) return record(x.detach().reshape(shape), "broadcast_to", {x}, std::move(fn));
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  kernels::BroadcastArgs args{static_cast<std::int64_t>(size_of(x.dtype())), x.raw(), y.mutable_raw(), 0, {}, {}};
  std::int64_t step = 1;
  int rank = 0;
  for (int d = shape.rank() - 1, s = x.rank() - 1; d >= 0; --d, --s) {
    if (shape[d] == 1) continue;
    std::int64_t stride = s >= 0 && x.dim(s) != 1 ? step : 0;
    if (stride) step *= x.dim(s);
    if (rank && stride == args.stride[rank - 1] * args.size[rank - 1]) {
      args.size[rank - 1] *= shape[d];
      continue;
    }
    args.size[rank] = shape[d];
    args.stride[rank++] = stride;
  }
  args.rank = rank;
  if (shape.numel()) kernels::broadcast(x.on_cuda(), args);
  return record(y, "broadcast_to", {x}, std::move(fn));
}

Tensor max_element(const Tensor& x) { return extreme("max_element", x, 1); }
Tensor min_element(const Tensor& x) { return extreme("min_element", x, 0); }

}  // namespace g2s
