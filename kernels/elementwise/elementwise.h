// Elementwise arithmetic with NumPy broadcasting. f32 and f64; differentiable to any order.
#pragma once

#include <limits>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// a and b: same dtype, shapes that broadcast. A broadcast operand's gradient is summed over what it was repeated along.
Tensor add(const Tensor& a, const Tensor& b);  // da = dy, db = dy
Tensor sub(const Tensor& a, const Tensor& b);  // da = dy, db = -dy
Tensor mul(const Tensor& a, const Tensor& b);  // da = dy b, db = dy a
Tensor div(const Tensor& a, const Tensor& b);  // da = dy / b, db = -dy y / b
// scale * x + offset; dx = scale dy
Tensor affine(const Tensor& x, double scale, double offset);

// Behind each: dx.
Tensor abs(const Tensor& x);       // dy sign(x), 0 at 0
Tensor sign(const Tensor& x);      // 0
Tensor square(const Tensor& x);    // 2 x dy
Tensor sqrt(const Tensor& x);      // dy / (2 y)
Tensor rsqrt(const Tensor& x);     // y = 1 / sqrt(x): -dy y^3 / 2
Tensor exp(const Tensor& x);       // dy y
Tensor log(const Tensor& x);       // dy / x
Tensor sin(const Tensor& x);       // dy cos(x)
Tensor cos(const Tensor& x);       // -dy sin(x)
Tensor tanh(const Tensor& x);      // dy (1 - y^2)
Tensor sigmoid(const Tensor& x);   // y = 1 / (1 + exp(-x)): dy y (1 - y)
Tensor relu(const Tensor& x);      // dy where x > 0, else 0
Tensor leaky_relu(const Tensor& x, double slope);     // dy where x > 0, else slope dy
Tensor clamp(const Tensor& x, double lo, double hi = std::numeric_limits<double>::infinity());  // dy where lo <= x <= hi, else 0 (as PyTorch)

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
