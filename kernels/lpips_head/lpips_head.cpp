#include "kernels/lpips_head/lpips_head.h"

#include "engine/autograd.h"
#include "kernels/lpips_head/lpips_head_args.h"

namespace g2s {
namespace {

constexpr const char* op = "lpips_head";

template <class T>
void forward(const Tensor& a, const Tensor& b, const Tensor& head, Tensor& d) {
  const std::int64_t pixels = a.dim(1) * a.dim(2);
  const std::int64_t chunks = a.on_cuda() ? kernels::lpips_cuda_chunks(pixels) : kernels::lpips_chunks(pixels, a.dim(3));
  Tensor partial = Tensor::empty({a.dim(0), chunks}, DType::f64, a.device());
  kernels::lpips_head(a.on_cuda(), kernels::LpipsHeadArgs<T>{a.ptr<T>(), b.ptr<T>(), head.ptr<T>(), d.mutable_ptr<T>(),
                                                             partial.mutable_ptr<double>(), a.dim(0), pixels, a.dim(3)});
}

template <class T>
void backward(const Tensor& dd, const Tensor& a, const Tensor& b, const Tensor& head, Tensor& da, Tensor& db) {
  auto out = [](Tensor& t) { return t.defined() ? t.mutable_ptr<T>() : nullptr; };
  kernels::lpips_head_grad(a.on_cuda(), kernels::LpipsHeadGradArgs<T>{dd.ptr<T>(), a.ptr<T>(), b.ptr<T>(), head.ptr<T>(), out(da), out(db),
                                                                      a.dim(0), a.dim(1) * a.dim(2), a.dim(3)});
}

}  // namespace

Tensor lpips_head(const Tensor& a, const Tensor& b, const Tensor& head) {
  check(a.rank() == 4 && a.numel() > 0 && a.shape() == b.shape() && a.dtype() == b.dtype(), op,
        "a and b must be the same [B,H,W,C], not empty, got ", describe(a), " and ", describe(b));
  if (!is_real(a.dtype())) fail(Errc::invalid_argument, op, "features must be f32 or f64, got ", describe(a));
  check(head.shape() == Shape{a.dim(3)} && head.dtype() == a.dtype(), op, "head ", describe(head), " does not fit features ", describe(a));
  check(a.device() == b.device() && a.device() == head.device(), op, "operands on ", a.device(), ", ", b.device(), " and ", head.device());
  const bool f64 = a.dtype() == DType::f64;
  Tensor d = Tensor::empty({a.dim(0)}, a.dtype(), a.device());
  if (f64) forward<double>(a, b, head, d);
  else forward<float>(a, b, head, d);
  return record(d, op, {a, b}, [a, b, head, f64](const BackwardArgs& args) -> std::vector<Tensor> {
    auto like = [&](bool wanted) { return wanted ? Tensor::empty(a.shape(), a.dtype(), a.device()) : Tensor{}; };
    Tensor da = like(args.needs[0]), db = like(args.needs[1]);
    if (f64) backward<double>(args.dy, a, b, head, da, db);
    else backward<float>(args.dy, a, b, head, da, db);
    if (da.defined()) da = no_second_derivative(da, op, {args.dy, a, b});
    if (db.defined()) db = no_second_derivative(db, op, {args.dy, a, b});
    return {da, db};
  });
}

}  // namespace g2s
