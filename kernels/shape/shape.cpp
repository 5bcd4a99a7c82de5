#include "kernels/shape/shape.h"

#include <array>

#include "engine/autograd.h"
#include "kernels/shape/copy_args.h"

namespace g2s {
namespace {

using Gradients = std::vector<Tensor>;
using Strides = std::array<std::int64_t, Shape::max_rank>;

Strides strides_of(const Shape& shape) {
  Strides stride{};
  std::int64_t step = 1;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    stride[d] = step;
    step *= shape[d];
  }
  return stride;
}

int checked_axis(const char* op, const Tensor& x, int axis) {
  int d = axis < 0 ? axis + x.rank() : axis;
  if (d < 0 || d >= x.rank()) fail(Errc::invalid_argument, op, "axis ", axis, " of ", describe(x));
  return d;
}

// Copies a block of `shape` from x (starting from_offset elements in) into y; dimensions are listed outermost first.
void copy(const Tensor& x, std::int64_t from_offset, const Strides& from, Tensor& y, std::int64_t to_offset, const Strides& to, const Shape& shape) {
  if (shape.numel() == 0) return;
  std::int64_t element = static_cast<std::int64_t>(size_of(x.dtype()));
  kernels::CopyArgs args{element, static_cast<const char*>(x.raw()) + from_offset * element, static_cast<char*>(y.mutable_raw()) + to_offset * element,
                         0, {}, {}, {}};
  int rank = 0;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    if (shape[d] == 1) continue;
    int last = rank - 1;
    if (rank && from[d] == args.from_stride[last] * args.size[last] && to[d] == args.to_stride[last] * args.size[last]) {
      args.size[last] *= shape[d];
      continue;
    }
    args.size[rank] = shape[d];
    args.from_stride[rank] = from[d];
    args.to_stride[rank++] = to[d];
  }
  if (rank == 0) {  // one element
    args.size[0] = args.from_stride[0] = args.to_stride[0] = 1;
    rank = 1;
  }
  args.rank = rank;
  kernels::copy(x.on_cuda(), args);
}

}  // namespace

Tensor permute(const Tensor& x, const std::vector<int>& order) {
  bool fits = static_cast<int>(order.size()) == x.rank();
  std::vector<int> inverse(order.size(), -1);
  for (std::size_t i = 0; fits && i < order.size(); ++i) {
    fits = order[i] >= 0 && order[i] < x.rank() && inverse[static_cast<std::size_t>(order[i])] < 0;
    if (fits) inverse[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
  }
  if (!fits) fail(Errc::invalid_argument, "permute", "the order is no permutation of the axes of ", describe(x));
  Shape shape;
  Strides all = strides_of(x.shape()), from{};
  for (int d : order) {
    from[shape.rank()] = all[d];
    shape.push_back(x.dim(d));
  }
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  copy(x, 0, from, y, 0, strides_of(shape), shape);
  return record(y, "permute", {x}, [inverse](const BackwardArgs& g) { return Gradients{permute(g.dy, inverse)}; });
}

Tensor slice(const Tensor& x, int axis, std::int64_t begin, std::int64_t end) {
  axis = checked_axis("slice", x, axis);
  std::int64_t size = x.dim(axis);
  if (begin < 0 || begin > end || end > size)
    fail(Errc::invalid_argument, "slice", "elements ", begin, " to ", end, " of axis ", axis, " of ", describe(x));
  Shape shape = x.shape();
  shape[axis] = end - begin;
  Strides from = strides_of(x.shape());
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  copy(x, begin * from[axis], from, y, 0, strides_of(shape), shape);
  return record(y, "slice", {x}, [=](const BackwardArgs& g) { return Gradients{pad(g.dy, axis, begin, size - end)}; });
}

Tensor concat(const std::vector<Tensor>& parts, int axis) {
  if (parts.empty()) fail(Errc::invalid_argument, "concat", "there is nothing to join");
  axis = checked_axis("concat", parts[0], axis);
  Shape shape = parts[0].shape();
  shape[axis] = 0;
  for (const Tensor& x : parts) {
    Shape other = x.shape();
    bool fits = x.dtype() == parts[0].dtype() && x.device() == parts[0].device() && other.rank() == shape.rank();
    if (fits) {
      shape[axis] += other[axis];
      other[axis] = parts[0].dim(axis);
      fits = other == parts[0].shape();
    }
    check(fits, "concat", describe(x), " with ", describe(parts[0]), " along axis ", axis);
  }
  Tensor y = Tensor::empty(shape, parts[0].dtype(), parts[0].device());
  Strides to = strides_of(shape);
  std::vector<std::int64_t> begin{0};
  for (const Tensor& x : parts) {
    copy(x, 0, strides_of(x.shape()), y, begin.back() * to[axis], to, x.shape());
    begin.push_back(begin.back() + x.dim(axis));
  }
  return record(y, "concat", parts, [begin, axis](const BackwardArgs& g) {
    Gradients dx(g.needs.size());
    for (std::size_t i = 0; i < dx.size(); ++i)
      if (g.needs[i]) dx[i] = slice(g.dy, axis, begin[i], begin[i + 1]);
    return dx;
  });
}

Tensor pad(const Tensor& x, int axis, std::int64_t before, std::int64_t after, double value) {
  axis = checked_axis("pad", x, axis);
  if (before < 0 || after < 0) fail(Errc::invalid_argument, "pad", "by ", before, " and ", after, " (x ", describe(x), ")");
  std::int64_t size = x.dim(axis);
  Shape shape = x.shape();
  shape[axis] = before + size + after;
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  Strides to = strides_of(shape);
  copy(x, 0, strides_of(x.shape()), y, before * to[axis], to, x.shape());
  std::int64_t element = static_cast<std::int64_t>(size_of(x.dtype())), pitch = shape[axis] * to[axis];
  const Tensor fill = Tensor::full({1}, value, x.dtype(), Device{});
  auto fill_part = [&](std::int64_t from, std::int64_t count) {
    if (count == 0 || shape.numel() == 0) return;
    void* start = static_cast<char*>(y.mutable_raw()) + from * to[axis] * element;
    kernels::fill(x.on_cuda(), {element, start, shape.numel() / pitch, count * to[axis], pitch, fill.raw()});
  };
  fill_part(0, before);
  fill_part(before + size, after);
  return record(y, "pad", {x}, [=](const BackwardArgs& g) { return Gradients{slice(g.dy, axis, before, before + size)}; });
}

Tensor flip(const Tensor& x, int axis) {
  axis = checked_axis("flip", x, axis);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  Strides to = strides_of(x.shape()), from = to;
  std::int64_t start = x.dim(axis) ? (x.dim(axis) - 1) * to[axis] : 0;
  from[axis] = -to[axis];
  copy(x, start, from, y, 0, to, x.shape());
  return record(y, "flip", {x}, [axis](const BackwardArgs& g) { return Gradients{flip(g.dy, axis)}; });
}

}  // namespace g2s
