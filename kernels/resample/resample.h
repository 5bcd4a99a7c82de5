// Separable linear resampling from tables of weights: the common kernel of upfirdn2d, the resizes, average pooling and their adjoints.
#pragma once

#include <memory>
#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// One axis: output o is the sum of weight[o * taps + j] * input[start[o] + j] over j < count[o].
struct ResampleAxis {
  std::int64_t in = 0;              // length of the input
  std::int64_t taps = 1;            // the largest count
  std::vector<std::int32_t> start;  // [out], start[o] + count[o] <= in
  std::vector<std::int32_t> count;  // [out]
  std::vector<double> weight;       // [out, taps], 0 beyond count[o]

  std::int64_t out() const { return static_cast<std::int64_t>(start.size()); }
};

// Builds an axis from a dense description: for output o, `entry(o, add)` calls add(input index, weight) with increasing indices.
// Zero weights are dropped at both ends.
class ResampleAxisBuilder {
 public:
  ResampleAxisBuilder(std::int64_t in, std::int64_t out);
  void add(std::int64_t out, std::int64_t in, double weight);  // outputs in increasing order; inputs of one output too
  ResampleAxis finish();

 private:
  ResampleAxis axis_;
  std::vector<std::vector<double>> rows_;
};

// The adjoint: input and output change places.
ResampleAxis transposed(const ResampleAxis& axis);

struct ResampleAxes {
  ResampleAxis rows, cols;
};

// x [B,rows.in,cols.in,C] -> [B,rows.out,cols.out,C]: y = R x Q^T for each image and channel, R and Q the tables as matrices.
// dx = R^T dy Q: the same operator with both axes transposed, so to any order. `op` names the caller in errors.
Tensor resample(const Tensor& x, const char* op, std::shared_ptr<const ResampleAxes> axes);

}  // namespace g2s
