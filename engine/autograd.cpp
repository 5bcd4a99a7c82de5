#include "engine/autograd.h"

#include <algorithm>
#include <atomic>
#include <queue>
#include <unordered_map>

#include "engine/accumulate.h"
#include "engine/graph_vertex.h"
#include "engine/thread_state.h"

namespace g2s {

// The engine's way into a tensor's place in the graph.
struct TensorAccess {
  // Two handles are the same vertex of the graph if they were computed by the same node or are the same leaf.
  static const void* vertex(const Tensor& t) {
    return t.impl().node ? static_cast<const void*>(t.impl().node.get()) : static_cast<const void*>(t.impl_.get());
  }
  static Tensor with_node(Tensor t, std::shared_ptr<Node> node) {
    t.impl_->node = std::move(node);
    return t;
  }
  static Tensor graph_vertex(const Tensor& t) {
    if (!t.defined() || !t.requires_grad()) return {};
    if (!t.node()) return t;
    Tensor stub;
    stub.impl_ = std::make_shared<Tensor::Impl>();
    stub.impl_->node = t.node();
    stub.impl_->shape = t.shape();
    stub.impl_->dtype = t.dtype();
    return stub;
  }
};

namespace {

std::atomic<std::uint64_t> next_sequence{1};  // of all threads: a graph may be built by several, one after another

// What a destroyed node held.
struct DestroyedNode {
  std::vector<Tensor> inputs;
  Derivative derivative;
};

}  // namespace

// Freeing one may destroy its predecessors, which add to the same list instead of recursing.
struct PendingNodes {
  std::vector<DestroyedNode> list;
};

namespace {

void destroy_without_recursion(DestroyedNode node) {
  ThreadState& state = thread_state();
  if (state.pending_nodes) return state.pending_nodes->list.push_back(std::move(node));
  PendingNodes nodes;
  state.pending_nodes = &nodes;
  nodes.list.push_back(std::move(node));
  while (!nodes.list.empty()) {
    DestroyedNode last = std::move(nodes.list.back());
    nodes.list.pop_back();
  }
  state.pending_nodes = nullptr;
}

using Vertex = const void*;

struct Later {
  bool operator()(const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) const { return a->sequence < b->sequence; }
};

// Which nodes lie between the outputs and the wanted inputs, and which of their arguments lead on to them.
class BackwardPaths {
 public:
  BackwardPaths(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs) {
    for (const Tensor& t : inputs) wanted_[TensorAccess::vertex(t)] = true;
    for (const Tensor& t : outputs) visit(t);
  }
  bool leads(const Tensor& t) const {
    auto it = leads_.find(TensorAccess::vertex(t));
    return it != leads_.end() && it->second;
  }
  bool wanted(Vertex v) const { return wanted_.count(v) != 0; }

 private:
  // Depth first with an explicit stack: graphs can be deep.
  void visit(const Tensor& root) {
    struct Frame {
      Tensor tensor;
      std::size_t next = 0;
      bool found = false;
    };
    std::vector<Frame> stack;
    auto enter = [&](const Tensor& t) {
      Vertex v = TensorAccess::vertex(t);
      if (leads_.emplace(v, false).second) stack.push_back({t, 0, wanted_.count(v) != 0});
    };
    enter(root);
    while (!stack.empty()) {
      std::size_t top = stack.size() - 1;
      const std::shared_ptr<Node>& node = stack[top].tensor.node();
      if (node && stack[top].next < node->inputs.size()) {
        const Tensor& input = node->inputs[stack[top].next];
        if (input.defined() && input.requires_grad()) {
          auto it = leads_.find(TensorAccess::vertex(input));
          if (it == leads_.end()) {
            enter(input);
            continue;  // look at the same input again once it is known
          }
          if (it->second) stack[top].found = true;
        }
        ++stack[top].next;
        continue;
      }
      leads_[TensorAccess::vertex(stack[top].tensor)] = stack[top].found;
      stack.pop_back();
    }
  }

  std::unordered_map<Vertex, bool> wanted_, leads_;
};

Tensor saved_output(const std::shared_ptr<Node>& node) {
  if (!node->derivative.save_output) return {};
  return TensorAccess::with_node(Tensor::wrap(node->output_storage, node->output_shape, node->output_dtype, node->output_offset), node);
}

void release(Node& node) {
  node.released = true;
  node.derivative = {};
  node.output_storage.reset();
}

std::vector<Tensor> run_derivative(const std::shared_ptr<Node>& node, const Tensor& dy, const BackwardPaths& paths) {
  if (node->released)
    fail(Errc::invalid_argument, "grad", "the graph behind ", node->op, " was freed by an earlier grad(); pass retain_graph");
  std::vector<bool> needs(node->inputs.size());
  for (std::size_t i = 0; i < needs.size(); ++i) {
    const Tensor& t = node->inputs[i];
    needs[i] = t.defined() && t.requires_grad() && paths.leads(t);
  }
  Tensor y = saved_output(node);
  std::vector<Tensor> gradients = node->derivative.fn({dy, y, needs});
  if (gradients.size() != needs.size())
    fail(Errc::internal, node->op, "its derivative gave ", gradients.size(), " gradients for ", needs.size(), " inputs");
  for (std::size_t i = 0; i < needs.size(); ++i) {
    if (!needs[i]) {
      gradients[i] = {};
      continue;
    }
    const Tensor& input = node->inputs[i];
    if (!gradients[i].defined() || gradients[i].shape() != input.shape() || gradients[i].dtype() != input.dtype())
      fail(Errc::internal, node->op, "gradient ", i, " is ", describe(gradients[i]), " for an input ", describe(input));
  }
  return gradients;
}

}  // namespace

Node::~Node() { destroy_without_recursion({std::move(inputs), std::move(derivative)}); }

bool grad_enabled() { return thread_state().grad_enabled; }

bool will_record(std::initializer_list<const Tensor*> inputs) {
  if (!grad_enabled()) return false;
  return std::any_of(inputs.begin(), inputs.end(), [](const Tensor* t) { return t->defined() && t->requires_grad(); });
}

NoGrad::NoGrad() : before_(std::exchange(thread_state().grad_enabled, false)) {}
NoGrad::~NoGrad() { thread_state().grad_enabled = before_; }

Tensor record(Tensor output, const char* op, std::vector<Tensor> inputs, Derivative derivative) {
  if (!grad_enabled()) return output;
  if (std::none_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return t.defined() && t.requires_grad(); })) return output;
  auto node = std::make_shared<Node>();
  node->op = op;
  node->sequence = next_sequence++;
  for (const Tensor& t : inputs) node->inputs.push_back(graph_vertex(t));
  node->derivative = std::move(derivative);
  if (node->derivative.save_output) {
    node->output_storage = output.storage();
    node->output_offset = output.impl().offset;
    node->output_shape = output.shape();
    node->output_dtype = output.dtype();
  }
  return TensorAccess::with_node(std::move(output), std::move(node));
}

Tensor graph_vertex(const Tensor& t) { return TensorAccess::graph_vertex(t); }

Tensor at_vertex(const Tensor& values, const Tensor& vertex) {
  if (!vertex.defined()) return values.detach();
  check(values.shape() == vertex.shape() && values.dtype() == vertex.dtype(), "at_vertex", "values ", describe(values), " for a place of ",
        describe(vertex));
  return vertex.node() ? TensorAccess::with_node(values.detach(), vertex.node()) : vertex;
}

Tensor no_second_derivative(Tensor gradient, const char* op, std::vector<Tensor> inputs) {
  return record(std::move(gradient), op, std::move(inputs), [op](const BackwardArgs&) -> std::vector<Tensor> {
    fail(Errc::unsupported, op, "has no second derivative");
  });
}

std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs, const std::vector<Tensor>& grad_outputs,
                         GradOptions options) {
  if (!grad_outputs.empty()) check(grad_outputs.size() == outputs.size(), "grad", "one gradient per output is needed");
  for (const Tensor& t : inputs)
    if (!t.requires_grad()) fail(Errc::invalid_argument, "grad", "an input ", describe(t), " does not require gradients");
  BackwardPaths paths(outputs, inputs);
  std::unordered_map<Vertex, Tensor> gradients;
  std::priority_queue<std::shared_ptr<Node>, std::vector<std::shared_ptr<Node>>, Later> ready;
  auto receive = [&](const Tensor& t, const Tensor& gradient) {
    auto [it, first] = gradients.try_emplace(TensorAccess::vertex(t), gradient);
    if (!first) it->second = accumulate(std::move(it->second), gradient, options.create_graph);
    else if (t.node()) ready.push(t.node());
  };
  const NoGrad restores_at_the_end;
  thread_state().grad_enabled = options.create_graph;

  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& y = outputs[i];
    if (!y.requires_grad() || !paths.leads(y)) continue;
    if (grad_outputs.empty() || !grad_outputs[i].defined()) {
      check(y.numel() == 1, "grad", "an output ", describe(y), " is not a scalar and needs its gradient given");
      receive(y, Tensor::full(y.shape(), 1, y.dtype(), y.device()));
    } else {
      check(grad_outputs[i].shape() == y.shape() && grad_outputs[i].dtype() == y.dtype(), "grad", "gradient ", describe(grad_outputs[i]),
            " for an output ", describe(y));
      receive(y, grad_outputs[i]);
    }
  }
  while (!ready.empty()) {
    std::shared_ptr<Node> node = ready.top();
    ready.pop();
    auto it = gradients.find(node.get());
    Tensor dy = it->second;
    if (!paths.wanted(node.get())) gradients.erase(it);
    std::vector<Tensor> input_gradients = run_derivative(node, dy, paths);
    dy = {};
    for (std::size_t i = 0; i < input_gradients.size(); ++i)
      if (input_gradients[i].defined()) receive(node->inputs[i], input_gradients[i]);
    if (!options.create_graph && !options.retain_graph) release(*node);
  }

  std::vector<Tensor> result;
  for (const Tensor& t : inputs) {
    auto it = gradients.find(TensorAccess::vertex(t));
    if (it == gradients.end() && !options.allow_unused)
      fail(Errc::invalid_argument, "grad", "the outputs do not depend on an input ", describe(t));
    result.push_back(it == gradients.end() ? Tensor{} : it->second);
  }
  return result;
}

}  // namespace g2s
