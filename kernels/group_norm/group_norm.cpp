#include "kernels/group_norm/group_norm.h"

#include "engine/autograd.h"
#include "kernels/group_norm/group_norm_args.h"

namespace g2s {
namespace {

constexpr const char* op = "group_norm";

Tensor workspace(const Tensor& x, std::int64_t sums, DType dtype) {
  return Tensor::empty({x.dim(0), kernels::group_norm_chunks(x.dim(1) * x.dim(2), x.dim(3)), sums, x.dim(3)}, dtype, x.device());
}

// Values per image and channel, which only the CUDA kernels keep in memory.
Tensor coefficients(const Tensor& x, int count) {
  return x.on_cuda() ? Tensor::empty({x.dim(0), count, x.dim(3)}, x.dtype(), x.device()) : Tensor{};
}
template <class T>
T* out(Tensor& t) {
  return t.defined() ? t.mutable_ptr<T>() : nullptr;
}

template <class T>
void forward(const Tensor& x, const Tensor& weight, const Tensor& bias, int groups, double eps, double slope, Tensor& stats, Tensor& y) {
  Tensor partial = workspace(x, 3, x.dtype()), affine = coefficients(x, 2);
  kernels::group_norm(x.on_cuda(), {x.ptr<T>(), weight.ptr<T>(), bias.ptr<T>(), y.mutable_ptr<T>(), stats.mutable_ptr<double>(),
                                    partial.mutable_ptr<T>(), out<T>(affine), x.dim(0), x.dim(1) * x.dim(2), x.dim(3), groups, eps,
                                    static_cast<T>(slope)});
}

struct Gradients {
  Tensor dx, dweight, dbias;
};

template <class T>
Gradients backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& stats, double slope,
                   const std::vector<bool>& needs) {
  auto like = [](bool wanted, const Tensor& t) { return wanted ? Tensor::empty(t.shape(), t.dtype(), t.device()) : Tensor{}; };
  Gradients g{like(needs[0], x), like(needs[1], weight), like(needs[2], bias)};
  Tensor partial = workspace(x, 2, x.dtype()), sums = Tensor::empty({x.dim(0), 2, x.dim(3)}, DType::f64, x.device()), values = coefficients(x, 5);
  kernels::group_norm_grad(x.on_cuda(), {dy.ptr<T>(), x.ptr<T>(), weight.ptr<T>(), bias.ptr<T>(), stats.ptr<double>(), out<T>(g.dx),
                                         out<T>(g.dweight), out<T>(g.dbias), partial.mutable_ptr<T>(), sums.mutable_ptr<double>(),
                                         out<T>(values), x.dim(0), x.dim(1) * x.dim(2), x.dim(3), stats.dim(1), static_cast<T>(slope)});
  return g;
}

}  // namespace

Tensor group_norm(const Tensor& x, int groups, const Tensor& weight, const Tensor& bias, double eps, double slope) {
  check(x.rank() == 4 && x.numel() > 0, op, "x must be [B,H,W,C] and not empty, got ", describe(x));
  if (!is_real(x.dtype())) fail(Errc::invalid_argument, op, "x must be f32 or f64, got ", describe(x));
  check(groups > 0 && x.dim(3) % groups == 0, op, x.dim(3), " channels cannot be split into ", groups, " groups (x ", describe(x), ")");
  const Shape per_channel{x.dim(3)};
  check(weight.shape() == per_channel && bias.shape() == per_channel && weight.dtype() == x.dtype() && bias.dtype() == x.dtype(), op,
        "weight ", describe(weight), " and bias ", describe(bias), " do not fit x ", describe(x));
  check(weight.device() == x.device() && bias.device() == x.device(), op, "x is on ", x.device(), ", weight on ", weight.device(), ", bias on ",
        bias.device());
  if (!(slope >= 0)) fail(Errc::invalid_argument, op, "needs slope >= 0, got ", slope);
  Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device()), stats = Tensor::empty({x.dim(0), groups, 2}, DType::f64, x.device());
  if (x.dtype() == DType::f64) forward<double>(x, weight, bias, groups, eps, slope, stats, y);
  else forward<float>(x, weight, bias, groups, eps, slope, stats, y);
  return record(y, op, {x, weight, bias}, [x, weight, bias, stats, slope](const BackwardArgs& a) -> std::vector<Tensor> {
    const bool f64 = x.dtype() == DType::f64;
    Gradients g = f64 ? backward<double>(a.dy, x, weight, bias, stats, slope, a.needs)
                      : backward<float>(a.dy, x, weight, bias, stats, slope, a.needs);
    for (Tensor* t : {&g.dx, &g.dweight, &g.dbias})
      if (t->defined()) *t = no_second_derivative(*t, op, {a.dy, x, weight, bias});
    return {g.dx, g.dweight, g.dbias};
  });
}

}  // namespace g2s
