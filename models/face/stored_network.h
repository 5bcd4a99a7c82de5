// A network whose file holds the list of its operators: docs/checkpoints.md, "Faces in a picture". Inference only, f32, on the CPU.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/export.h"
#include "engine/safetensors.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

class StoredNetwork {
 public:
  // Throws Error(format) naming the file, and the operator that is unknown or lacks something.
  explicit StoredNetwork(const SafetensorsFile& file);

  // x [1,H,W,C] -> the outputs in the file's order. H and W may be others than side(), where every operator takes them: the network is
  // run on a larger picture then. Convolutions are in f32 whatever the context's precision is.
  std::vector<Tensor> operator()(const Tensor& x) const;
  std::int64_t side() const { return side_; }  // rows of the input that it was made for

 private:
  using Operator = std::function<Tensor(const std::vector<Tensor>&)>;
  struct Step {
    Operator run;                     // takes the inputs below
    std::vector<std::size_t> inputs;  // values
    std::vector<std::size_t> last;    // values that nobody reads afterwards
  };
  friend class StoredNetworkReader;

  std::vector<Step> steps_;           // step i computes value i + 1; value 0 is the input
  std::vector<std::size_t> outputs_;  // values
  std::int64_t side_ = 0;
};

}  // namespace G2S_EXPORTED
