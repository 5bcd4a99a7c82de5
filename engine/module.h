// Networks: a map from the checkpoint's parameter names to tensors.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "engine/export.h"
#include "engine/safetensors.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// How a checkpoint (PyTorch) stores a tensor, and how we do. conv covers transposed convolutions and modulated weights [1,O,I,k,k] too.
enum class ParameterKind {
  plain,  // the same
  conv,   // [O,I,kh,kw] there, [O,kh,kw,I] here; [1,O,I,kh,kw] there, [1,O,kh,kw,I] here
  map,    // [1,C,H,W] there, [1,H,W,C] here
};

struct Parameter {
  std::string name;  // as in the checkpoint: network.0.weight
  ParameterKind kind = ParameterKind::plain;
  Tensor value;
};

// In order of declaration, which is the order of optimisers and checkpoints.
class ParameterMap {
 public:
  // `value` in our layout, f32 or f64. The reference holds until the next add.
  Tensor& add(const std::string& name, ParameterKind kind, Tensor value);
  bool contains(const std::string& name) const;
  const Tensor& operator[](const std::string& name) const;  // throws naming it if absent
  const std::vector<Parameter>& all() const { return all_; }
  std::vector<Tensor> tensors() const;

  // f32 or f64 throughout. Leaves start as trainable or frozen; frozen ones are constant (see Tensor::set_constant).
  void set_trainable(bool trainable);
  ParameterMap to(DType dtype) const;  // a converted deep copy, neither trainable nor frozen
  ParameterMap to(Device device) const;  // a deep copy elsewhere

  // In the checkpoint's layout and names, with a prefix ("netD."): for files that PyTorch users can read.
  NamedTensors to_checkpoint(const std::string& prefix = "") const;
  // Replaces every value from a file's tensors, or none: throws naming file and tensor if one is absent or of another shape. Dtype and
  // trainability stay. Values that are not frozen are overwritten in place, so that handles to them stay good.
  void load(const SafetensorsFile& file, const std::string& prefix = "");

 private:
  std::vector<Parameter> all_;
  std::unordered_map<std::string, std::size_t> index_;
};

// A tensor of a checkpoint in our layout and in f32, and back.
Tensor from_checkpoint(const Tensor& stored, ParameterKind kind);
Tensor to_checkpoint(const Tensor& value, ParameterKind kind);
// The checkpoint's shape of a tensor of ours.
Shape checkpoint_shape(const Shape& shape, ParameterKind kind);

}  // namespace g2s
