#include "kernels/pool/pool.h"

#include "engine/autograd.h"
#include "kernels/pool/pool_args.h"
#include "kernels/resize/resize.h"

namespace g2s {
namespace {

// PyTorch's rule: with ceil_mode a last partial window, as long as it starts inside.
std::int64_t pool_size(std::int64_t in, int k, int stride, bool ceil_mode) {
  std::int64_t out = (in - k + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  return (out - 1) * stride >= in ? out - 1 : out;
}

template <class T>
void forward(const Tensor& x, int k, int stride, Tensor& y, Tensor& argmax) {
  kernels::max_pool(x.on_cuda(), {x.ptr<T>(), y.mutable_ptr<T>(), argmax.defined() ? argmax.mutable_ptr<std::uint8_t>() : nullptr, x.dim(0),
                                  x.dim(1), x.dim(2), x.dim(3), y.dim(1), y.dim(2), k, stride});
}

template <class T>
void backward(const Tensor& dy, const Tensor& argmax, int k, int stride, Tensor& dx) {
  kernels::max_pool_grad(dy.on_cuda(), {dy.ptr<T>(), argmax.ptr<std::uint8_t>(), dx.mutable_ptr<T>(), dx.dim(0), dx.dim(1), dx.dim(2),
                                        dx.dim(3), dy.dim(1), dy.dim(2), k, stride});
}

}  // namespace

Tensor avg_pool2d(const Tensor& x, int k) {
  const char* op = "avg_pool2d";
  if (k < 1) fail(Errc::invalid_argument, op, "needs a window of at least 1, got ", k);
  check(x.rank() == 4 && x.dim(1) > 0 && x.dim(2) > 0 && x.dim(1) % k == 0 && x.dim(2) % k == 0, op,
        "x must be [B,H,W,C] with H and W multiples of ", k, ", got ", describe(x));
  return resize_area(x, x.dim(1) / k, x.dim(2) / k);
}

Tensor max_pool2d(const Tensor& x, int k, int stride, bool ceil_mode) {
  const char* op = "max_pool2d";
  if (k < 1 || k > 16 || stride < 1) fail(Errc::invalid_argument, op, "needs 1 <= k <= 16 and stride >= 1, got ", k, " and ", stride);
  check(x.rank() == 4 && x.numel() > 0 && x.dim(1) >= k && x.dim(2) >= k, op, "x must be [B,H,W,C] of at least ", k, " x ", k, ", got ",
        describe(x));
  if (!is_real(x.dtype())) fail(Errc::invalid_argument, op, "x must be f32 or f64, got ", describe(x));
  const bool f64 = x.dtype() == DType::f64;
  const std::int64_t height = pool_size(x.dim(1), k, stride, ceil_mode), width = pool_size(x.dim(2), k, stride, ceil_mode);
  Tensor y = Tensor::empty({x.dim(0), height, width, x.dim(3)}, x.dtype(), x.device());
  Tensor argmax;
  if (will_record({&x})) argmax = Tensor::empty(y.shape(), DType::u8, x.device());
  if (f64) forward<double>(x, k, stride, y, argmax);
  else forward<float>(x, k, stride, y, argmax);
  return record(y, op, {x}, [shape = x.shape(), argmax, k, stride, f64, op](const BackwardArgs& a) -> std::vector<Tensor> {
    Tensor dx = Tensor::empty(shape, a.dy.dtype(), a.dy.device());
    if (f64) backward<double>(a.dy, argmax, k, stride, dx);
    else backward<float>(a.dy, argmax, k, stride, dx);
    return {no_second_derivative(dx, op, {a.dy})};
  });
}

}  // namespace g2s
