// Elementwise arithmetic with NumPy broadcasting. f32 and f64; differentiable to any order.
#pragma once

#include <limits>

#include "engine/tensor.h"

namespace g2s {

// a and b: same dtype, shapes that broadcast.
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
// scale * x + offset
Tensor affine(const Tensor& x, double scale, double offset);

Tensor abs(const Tensor& x);     // derivative sign(x), 0 at 0
Tensor sign(const Tensor& x);    // derivative 0
Tensor square(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);   // 1 / sqrt(x)
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor softplus(const Tensor& x);  // log(1 + exp(x)), stable
Tensor relu(const Tensor& x);      // derivative 0 at 0
Tensor leaky_relu(const Tensor& x, double slope);
// Derivative 1 where lo <= x <= hi, else 0 (as PyTorch).
Tensor clamp(const Tensor& x, double lo, double hi = std::numeric_limits<double>::infinity());

// 1 where x < bound, else 0, in x's dtype. No gradient.
Tensor less(const Tensor& x, double bound);
// 1 where x >= bound, else 0, in x's dtype. No gradient.
Tensor greater_equal(const Tensor& x, double bound);

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator+(const Tensor& a, double b) { return affine(a, 1, b); }
inline Tensor operator-(const Tensor& a, double b) { return affine(a, 1, -b); }
inline Tensor operator*(const Tensor& a, double b) { return affine(a, b, 0); }
inline Tensor operator/(const Tensor& a, double b) { return affine(a, 1 / b, 0); }
inline Tensor operator+(double a, const Tensor& b) { return affine(b, 1, a); }
inline Tensor operator-(double a, const Tensor& b) { return affine(b, -1, a); }
inline Tensor operator*(double a, const Tensor& b) { return affine(b, a, 0); }
inline Tensor operator-(const Tensor& a) { return affine(a, -1, 0); }

}  // namespace g2s
