#include "kernels/haar/haar.h"

#include "engine/autograd.h"
#include "kernels/haar/haar_args.h"

namespace g2s {
namespace {

void require_picture(const char* op, const char* name, const Tensor& t) {
  check(t.defined() && t.rank() == 4, op, name, " must have rank 4, got ", t.defined() ? describe(t) : "an undefined tensor");
  if (!is_real(t.dtype())) fail(Errc::invalid_argument, op, name, " must be f32 or f64, got ", describe(t));
}

void require_bands(const char* op, const Tensor& x) {
  require_picture(op, "x", x);
  check(x.dim(3) % 4 == 0, op, "x must be [B,H,W,4C], got ", describe(x));
}

template <class T>
const T* data_or_null(const Tensor& t) { return t.defined() ? t.ptr<T>() : nullptr; }
template <class T>
T* out_or_null(Tensor& t) { return t.defined() ? t.mutable_ptr<T>() : nullptr; }

template <class T>
void launch_synthesis(const Tensor& x, const Tensor& style, Tensor& y) {
  kernels::haar_synthesis(x.on_cuda(), {x.ptr<T>(), data_or_null<T>(style), y.mutable_ptr<T>(), x.dim(0), x.dim(1), x.dim(2), y.dim(3)});
}

Tensor synthesized(const Tensor& x, const Tensor& style) {
  Tensor y = Tensor::empty({x.dim(0), 2 * x.dim(1), 2 * x.dim(2), x.dim(3) / 4}, x.dtype(), x.device());
  if (x.dtype() == DType::f64) launch_synthesis<double>(x, style, y);
  else launch_synthesis<float>(x, style, y);
  return y;
}

Shape bands_of(const Tensor& y) { return {y.dim(0), y.dim(1) / 2, y.dim(2) / 2, 4 * y.dim(3)}; }

template <class T>
void launch_analysis(const Tensor& y, Tensor& bands) {
  kernels::haar_analysis(y.on_cuda(), {y.ptr<T>(), nullptr, nullptr, bands.mutable_ptr<T>(), nullptr, nullptr, y.dim(0), y.dim(1) / 2,
                                       y.dim(2) / 2, y.dim(3)});
}

// The gradients of a modulated synthesis in one pass.
template <class T>
ScaleGradients style_gradients_cpu(const Tensor& dy, const Tensor& x, const Tensor& style, bool to_x, bool to_style) {
  const Shape bands = bands_of(dy);
  ScaleGradients g;
  Tensor partial;
  if (to_x) g.dx = Tensor::empty(bands, dy.dtype(), dy.device());
  if (to_style) {
    g.dscale = Tensor::empty(style.shape(), dy.dtype(), dy.device());
    const std::int64_t pieces = kernels::haar_pieces(bands[1], bands[2], dy.dim(3));
    partial = Tensor::empty({bands[0], pieces, bands[3]}, dy.dtype(), dy.device());
  }
  kernels::haar_analysis(false, {dy.ptr<T>(), style.ptr<T>(), to_style ? x.ptr<T>() : nullptr, out_or_null<T>(g.dx),
                                 out_or_null<T>(g.dscale), out_or_null<T>(partial), bands[0], bands[1], bands[2], dy.dim(3)});
  return g;
}

ScaleGradients style_gradients(const Tensor& dy, const Tensor& x, const Tensor& style, bool to_x, bool to_style) {
  if (grad_enabled() || dy.on_cuda()) return bias_act_scale_gradients(haar_analysis(dy), x, style, to_x, to_style);
  return dy.dtype() == DType::f64 ? style_gradients_cpu<double>(dy, x, style, to_x, to_style)
                                  : style_gradients_cpu<float>(dy, x, style, to_x, to_style);
}

}  // namespace

Tensor haar_synthesis(const Tensor& x) {
  const char* op = "haar_synthesis";
  require_bands(op, x);
  return record(synthesized(x, {}), op, {x}, [](const BackwardArgs& a) -> std::vector<Tensor> { return {haar_analysis(a.dy)}; });
}

Tensor haar_synthesis_modulated(const Tensor& x, const Tensor& style) {
  const char* op = "haar_synthesis_modulated";
  require_bands(op, x);
  check(style.defined() && style.shape() == Shape{x.dim(0), x.dim(3)} && style.dtype() == x.dtype(), op, "style ",
        style.defined() ? describe(style) : "undefined", " does not fit x ", describe(x));
  check(style.device() == x.device(), op, "style is on ", style.device(), ", x on ", x.device());
  return record(synthesized(x, style), op, {x, style}, [style, x = will_record({&style}) ? x : Tensor{}](const BackwardArgs& a) {
    const ScaleGradients g = style_gradients(a.dy, x, style, a.needs[0], a.needs[1]);
    return std::vector<Tensor>{g.dx, g.dscale};
  });
}

Tensor haar_analysis(const Tensor& y) {
  const char* op = "haar_analysis";
  require_picture(op, "y", y);
  check(y.dim(1) % 2 == 0 && y.dim(2) % 2 == 0, op, "y must have even sizes, got ", describe(y));
  Tensor bands = Tensor::empty(bands_of(y), y.dtype(), y.device());
  if (y.dtype() == DType::f64) launch_analysis<double>(y, bands);
  else launch_analysis<float>(y, bands);
  return record(bands, op, {y}, [](const BackwardArgs& a) -> std::vector<Tensor> { return {haar_synthesis(a.dy)}; });
}

}  // namespace g2s
