#include "models/gan2shape/losses.h"

#include "kernels/elementwise/elementwise.h"
#include "kernels/pool/pool.h"
#include "kernels/reduce/reduce.h"

namespace g2s {

Tensor masked_l1(const Tensor& a, const Tensor& b, const Tensor& mask, const Tensor& whole) {
  check(a.shape() == b.shape() && mask.rank() == 4 && mask.dim(3) == 1, "masked_l1", "a and b must have one shape, mask one channel (a ",
        describe(a), ", b ", describe(b), ", mask ", describe(mask), ")");
  Tensor weight = mask / (sum(whole) * static_cast<double>(a.dim(3)));
  return sum(abs(a - b) * weight);
}

Tensor masked_mse(const Tensor& a, const Tensor& b, const Tensor& mask) {
  return sum(square(a - b) * (mask / (sum(mask) * static_cast<double>(a.dim(3)))));
}

Tensor feature_l1(const std::vector<Tensor>& a, const std::vector<Tensor>& b, const Tensor& mask, const Tensor& whole) {
  Tensor total;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const int k = static_cast<int>(mask.dim(1) / a[i].dim(1));
    auto pooled = [k](const Tensor& m) { return k == 1 ? m : avg_pool2d(m, k); };
    Tensor loss = masked_l1(a[i], b[i], pooled(mask), pooled(whole));
    total = total ? total + loss : loss;
  }
  return total;
}

}  // namespace g2s
