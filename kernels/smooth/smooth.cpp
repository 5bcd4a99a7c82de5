#include "kernels/smooth/smooth.h"

#include "engine/autograd.h"
#include "kernels/smooth/smooth_args.h"

namespace g2s {
namespace {

constexpr const char* op = "smooth_loss";
constexpr std::int64_t max_channels = 256;  // bounds the kernel's buffer of neighbouring signs

// One over the number of second differences of each kind.
struct Weights {
  double xx, xy, yy;
};

Weights weights_of(const Tensor& x) {
  const double images = static_cast<double>(x.dim(0) * x.dim(3)), h = static_cast<double>(x.dim(1)), w = static_cast<double>(x.dim(2));
  return {1 / (images * h * (w - 2)), 2 / (images * (h - 1) * (w - 1)), 1 / (images * (h - 2) * w)};
}

template <class T>
void forward(const Tensor& x, Tensor& loss) {
  const std::int64_t row = x.dim(2) * x.dim(3);
  const std::int64_t parts = x.on_cuda() ? kernels::smooth_cuda_blocks(x.numel()) : x.dim(0) * kernels::smooth_blocks(x.dim(1), row);
  Tensor partial = Tensor::empty({parts}, DType::f64, x.device());
  const Weights w = weights_of(x);
  kernels::smooth(x.on_cuda(), kernels::SmoothArgs<T>{x.ptr<T>(), loss.mutable_ptr<T>(), partial.mutable_ptr<double>(), x.dim(0), x.dim(1),
                                                      row, x.dim(3), w.xx, w.xy, w.yy});
}

template <class T>
void backward(const Tensor& dloss, const Tensor& x, Tensor& dx) {
  const Weights w = weights_of(x);
  kernels::smooth_grad(x.on_cuda(), kernels::SmoothGradArgs<T>{dloss.ptr<T>(), x.ptr<T>(), dx.mutable_ptr<T>(), x.dim(0), x.dim(1),
                                                               x.dim(2) * x.dim(3), x.dim(3), w.xx, w.xy, w.yy});
}

}  // namespace

Tensor smooth_loss(const Tensor& x) {
  check(x.rank() == 4 && x.numel() > 0 && x.dim(1) >= 3 && x.dim(2) >= 3 && x.dim(3) <= max_channels, op,
        "x must be [B,H,W,C] with H, W >= 3 and C <= ", max_channels, ", got ", describe(x));
  if (!is_real(x.dtype())) fail(Errc::invalid_argument, op, "x must be f32 or f64, got ", describe(x));
  const bool f64 = x.dtype() == DType::f64;
  Tensor loss = Tensor::empty({}, x.dtype(), x.device());
  if (f64) forward<double>(x, loss);
  else forward<float>(x, loss);
  return record(loss, op, {x}, [x, f64](const BackwardArgs& a) -> std::vector<Tensor> {
    Tensor dx = Tensor::empty(x.shape(), x.dtype(), x.device());
    if (f64) backward<double>(a.dy, x, dx);
    else backward<float>(a.dy, x, dx);
    return {no_second_derivative(dx, op, {a.dy, x})};
  });
}

}  // namespace g2s
