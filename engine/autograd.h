// The autograd tape: reverse-mode derivatives, of any order where an operator's derivative is itself made of differentiable operators.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include "engine/export.h"
#include "engine/tensor.h"

namespace g2s G2S_EXPORTED {

// Handed to an operator's derivative.
struct BackwardArgs {
  const Tensor& dy;              // gradient of the output, same shape
  const Tensor& y;               // the output, in the graph; defined only if the derivative asked for it
  const std::vector<bool>& needs;  // per input: is its gradient wanted? An undefined tensor may be returned where not.
};
using BackwardFn = std::function<std::vector<Tensor>(const BackwardArgs&)>;

struct Derivative {
  BackwardFn fn;
  bool save_output = false;  // the derivative uses y. Never capture y in fn: it would keep itself alive.
};

// One recorded operation. Of its inputs it keeps only their places in the graph: what its derivative needs of their data the derivative holds,
// and all other data is freed as soon as nobody uses it. Its output is known to it weakly.
struct Node {
  Node() = default;
  Node(const Node&) = delete;
  ~Node();  // frees what hangs on it without recursion: graphs can be deep

  const char* op = "";
  std::uint64_t sequence = 0;  // grows as operations are recorded: a topological order
  std::vector<Tensor> inputs;  // leaves as they are; of computed tensors vertex, shape and dtype; undefined where no gradient flows
  Derivative derivative;
  std::shared_ptr<Storage> output_storage;  // only if save_output
  std::size_t output_offset = 0;
  Shape output_shape;
  DType output_dtype = DType::f32;
  bool released = false;  // by a grad() through it: what its derivative held is gone
};

// Is anything recorded on this thread now?
bool grad_enabled();
// Will an operator on these inputs be recorded? Lets it skip work that only the derivative needs.
bool will_record(std::initializer_list<const Tensor*> inputs);

class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;

 private:
  bool before_;
};

// Attaches the derivative of `op` to its output when gradients are enabled and an input requires them; gives the output back.
// fn returns one gradient per input, shaped like it, built with differentiable operators (or with `no_second_derivative` below). It should
// capture no more tensors than it will read: what it captures stays in memory until the gradient is taken.
Tensor record(Tensor output, const char* op, std::vector<Tensor> inputs, Derivative derivative);
inline Tensor record(Tensor output, const char* op, std::vector<Tensor> inputs, BackwardFn fn, bool save_output = false) {
  return record(std::move(output), op, std::move(inputs), Derivative{std::move(fn), save_output});
}

// For gradients that have no derivative of their own: in the graph such a gradient throws a clear error when differentiated again.
// `inputs` are the tensors that it depends on.
Tensor no_second_derivative(Tensor gradient, const char* op, std::vector<Tensor> inputs);

struct GradOptions {
  bool create_graph = false;  // make the result differentiable (keeps the graph)
  bool retain_graph = false;  // allow another grad() through the same graph; otherwise what it saved is freed on the way
  bool allow_unused = false;  // an input that the outputs do not depend on gives an undefined tensor instead of an error
};

// d(sum over outputs of <output, grad_output>) / d(input), one tensor per input. A missing grad_outputs means ones (for scalars).
// Only what leads to `inputs` is computed.
std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs, const std::vector<Tensor>& grad_outputs = {},
                         GradOptions options = {});

}  // namespace g2s
