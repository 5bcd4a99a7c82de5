// cuDNN's backend interface: a graph of one operation, the engines that can compute it, and a plan of one of them.
#if !defined(G2S_EMULATE)
#include "engine/cuda/dnn.h"

#include "engine/error.h"

#if defined(G2S_HAVE_CUDNN)
#include <cudnn.h>

#include <algorithm>
#include <mutex>

#include "engine/context.h"
#include "engine/cuda/launch.cuh"
#include "engine/cuda/library.h"

namespace g2s::cuda::dnn {
namespace {

struct Api {
  Library library{"cuDNN", {"libcudnn.so.9"}};
  G2S_FUNCTION(version, cudnnGetVersion)
  G2S_FUNCTION(error_string, cudnnGetErrorString)
  G2S_FUNCTION(last_error, cudnnGetLastErrorString)
  G2S_FUNCTION(create, cudnnCreate)
  G2S_FUNCTION(destroy, cudnnDestroy)
  G2S_FUNCTION(set_stream, cudnnSetStream)
  G2S_FUNCTION(create_descriptor, cudnnBackendCreateDescriptor)
  G2S_FUNCTION(destroy_descriptor, cudnnBackendDestroyDescriptor)
  G2S_FUNCTION(set, cudnnBackendSetAttribute)
  G2S_FUNCTION(get, cudnnBackendGetAttribute)
  G2S_FUNCTION(finalize, cudnnBackendFinalize)
  G2S_FUNCTION(execute, cudnnBackendExecute)
};

const Api& api() { return required<Api>(); }

void check(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char reason[512] = {};
  api().last_error(reason, sizeof reason);
  fail(Errc::internal, "cuDNN", call, " says ", api().error_string(status), reason[0] ? ": " : "", reason);
}

// One for each thread of a context: a handle is bound to a stream while it is used.
cudnnHandle_t handle() {
  struct Owner {
    cudnnHandle_t handle = nullptr;
    Owner() { check(api().create(&handle), "cudnnCreate"); }
    ~Owner() { api().destroy(handle); }
  };
  return thread_object<Owner>().handle;
}

template <class T> struct attribute_type;
template <> struct attribute_type<std::int64_t> { static constexpr auto value = CUDNN_TYPE_INT64; };
template <> struct attribute_type<float> { static constexpr auto value = CUDNN_TYPE_FLOAT; };
template <> struct attribute_type<void*> { static constexpr auto value = CUDNN_TYPE_VOID_PTR; };
template <> struct attribute_type<bool> { static constexpr auto value = CUDNN_TYPE_BOOLEAN; };
template <> struct attribute_type<cudnnPointwiseMode_t> { static constexpr auto value = CUDNN_TYPE_POINTWISE_MODE; };
template <> struct attribute_type<char> { static constexpr auto value = CUDNN_TYPE_CHAR; };
template <> struct attribute_type<cudnnDataType_t> { static constexpr auto value = CUDNN_TYPE_DATA_TYPE; };
template <> struct attribute_type<cudnnConvolutionMode_t> { static constexpr auto value = CUDNN_TYPE_CONVOLUTION_MODE; };
template <> struct attribute_type<cudnnBackendHeurMode_t> { static constexpr auto value = CUDNN_TYPE_HEUR_MODE; };
template <> struct attribute_type<cudnnBackendKnobType_t> { static constexpr auto value = CUDNN_TYPE_KNOB_TYPE; };
template <> struct attribute_type<cudnnBackendNumericalNote_t> { static constexpr auto value = CUDNN_TYPE_NUMERICAL_NOTE; };

class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) { check(api().create_descriptor(type, &raw_), "cudnnBackendCreateDescriptor"); }
  ~Descriptor() {
    if (raw_) api().destroy_descriptor(raw_);
  }
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  cudnnBackendDescriptor_t raw() const { return raw_; }

  template <class T>
  void set(cudnnBackendAttributeName_t name, const T* values, std::int64_t count) {
    check(api().set(raw_, name, attribute_type<T>::value, count, values), "cudnnBackendSetAttribute");
  }
  template <class T>
  void set(cudnnBackendAttributeName_t name, T value) { set(name, &value, 1); }
  void set(cudnnBackendAttributeName_t name, const std::vector<Descriptor>& values) {
    std::vector<cudnnBackendDescriptor_t> all;
    for (const Descriptor& d : values) all.push_back(d.raw());
    check(api().set(raw_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<std::int64_t>(all.size()), all.data()), "cudnnBackendSetAttribute");
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    check(api().set(raw_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.raw_), "cudnnBackendSetAttribute");
  }
  void set_handle(cudnnBackendAttributeName_t name) {
    cudnnHandle_t h = handle();
    check(api().set(raw_, name, CUDNN_TYPE_HANDLE, 1, &h), "cudnnBackendSetAttribute");
  }

  // At most `most` values.
  template <class T>
  std::vector<T> get(cudnnBackendAttributeName_t name, std::int64_t most) const {
    std::vector<T> values(static_cast<std::size_t>(most));
    std::int64_t count = 0;
    check(api().get(raw_, name, attribute_type<T>::value, most, &count, values.data()), "cudnnBackendGetAttribute");
    values.resize(static_cast<std::size_t>(std::min(count, most)));
    return values;
  }
  template <class T>
  T get(cudnnBackendAttributeName_t name) const { return get<T>(name, 1).at(0); }
  // The descriptors behind it, at most `most`.
  std::vector<Descriptor> get(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type, std::int64_t most) const {
    std::vector<Descriptor> owned;
    std::vector<cudnnBackendDescriptor_t> all;
    for (std::int64_t i = 0; i < most; ++i) all.push_back(owned.emplace_back(type).raw());
    std::int64_t count = 0;
    check(api().get(raw_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count, all.data()), "cudnnBackendGetAttribute");
    while (static_cast<std::int64_t>(owned.size()) > count) owned.pop_back();
    return owned;
  }

  void finalize() { check(api().finalize(raw_), "cudnnBackendFinalize"); }
  bool supported() { return api().finalize(raw_) == CUDNN_STATUS_SUCCESS; }

 private:
  cudnnBackendDescriptor_t raw_ = nullptr;
};

// What plans are made for, if not for the device at hand.
struct Properties {
  std::string json;
};
std::string& properties() { return Context::current().object<Properties>().json; }

// Tells `d` which device it is for.
void set_device(Descriptor& d, cudnnBackendAttributeName_t handle_name, bool has_handle, cudnnBackendAttributeName_t properties_name, bool has_properties) {
  if (properties().empty()) {
    if (has_handle) d.set_handle(handle_name);
    return;
  }
  if (!has_properties) return;
  Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, properties().data(), static_cast<std::int64_t>(properties().size()));
  device.finalize();
  d.set(properties_name, device);
}

constexpr std::int64_t x_id = 'x', w_id = 'w', y_id = 'y', sums_id = 's';
constexpr std::int64_t most_engines = 64, most_knobs = 64;

// is_virtual: never written.
Descriptor tensor(const Layout& layout, std::int64_t id, bool is_virtual = false) {
  Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, layout.type == Type::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT);
  d.set(CUDNN_ATTR_TENSOR_DIMENSIONS, layout.dims, 4);
  d.set(CUDNN_ATTR_TENSOR_STRIDES, layout.strides, 4);
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  d.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, layout.alignment);
  d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, is_virtual);
  d.finalize();
  return d;
}

// The names of one operation's attributes.
struct Names {
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t x, w, y, convolution, alpha, beta;
};

Names names_of(Operation operation) {
  switch (operation) {
    case Operation::forward:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case Operation::data:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case Operation::filter: break;
  }
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,                 CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

// A convolution of bf16 writes f32 only behind another operation, so that it is compiled for this.
Descriptor copy_of_sums(const Convolution& c) {
  Descriptor identity(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  identity.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_IDENTITY);
  identity.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  identity.finalize();
  const std::int64_t id = c.operation == Operation::forward ? y_id : c.operation == Operation::data ? x_id : w_id;
  Descriptor copy(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  copy.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, identity);
  copy.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, tensor(c.result(), sums_id, true));
  copy.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, tensor(c.result(), id));
  copy.finalize();
  return copy;
}

Descriptor graph_of(const Convolution& c) {
  Descriptor convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  convolution.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  convolution.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2});
  convolution.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, c.pad, 2);
  convolution.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, c.pad, 2);
  convolution.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, c.stride, 2);
  convolution.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, c.dilation, 2);
  convolution.finalize();

  const Names names = names_of(c.operation);
  const bool mixed = c.x.type == Type::bf16 || c.w.type == Type::bf16 || c.y.type == Type::bf16;
  const auto side = [&](const Layout& layout, std::int64_t id) {
    const bool sums = mixed && &layout == &c.result();
    return tensor(layout, sums ? sums_id : id, sums);
  };
  std::vector<Descriptor> operations;
  Descriptor& operation = operations.emplace_back(names.operation);
  operation.set(names.x, side(c.x, x_id));
  operation.set(names.w, side(c.w, w_id));
  operation.set(names.y, side(c.y, y_id));
  operation.set(names.convolution, convolution);
  operation.set(names.alpha, 1.0f);
  operation.set(names.beta, 0.0f);
  operation.finalize();
  if (mixed) operations.push_back(copy_of_sums(c));

  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  set_device(graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, true, {}, false);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, operations);
  graph.finalize();
  return graph;
}

// Always the same bits, and no more rounding than is allowed?
bool acceptable(const Descriptor& engine, const Convolution& c) {
  const bool f32 = c.x.type != Type::bf16 && c.w.type != Type::bf16 && c.y.type != Type::bf16;
  for (cudnnBackendNumericalNote_t note : engine.get<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT)) {
    switch (note) {
      case CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC:
      case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS:
      case CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13: return false;  // too far from the sum of products
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE:                        // on f32 that is tf32
        if (f32 && !c.tensor_cores) return false;
        break;
      default: break;
    }
  }
  return true;
}

Algorithm engine_of(const Descriptor& config, const Descriptor& engine) {
  Algorithm e{engine.get<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX), {}};
  for (const Descriptor& choice : config.get(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, most_knobs))
    e.knobs.emplace_back(choice.get<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE),
                         choice.get<std::int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  std::sort(e.knobs.begin(), e.knobs.end());
  return e;
}

class CudnnPlan final : public ExecutionPlan {
 public:
  explicit CudnnPlan(Descriptor plan)
      : plan_(std::move(plan)), workspace_(static_cast<std::size_t>(plan_.get<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE))) {}

  std::size_t workspace() const override { return workspace_; }

  void run(const void* x, const void* w, const void* y, void* workspace) const override {
    const std::int64_t ids[] = {x_id, w_id, y_id};
    void* const pointers[] = {const_cast<void*>(x), const_cast<void*>(w), const_cast<void*>(y)};
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids, 3);
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, pointers, 3);
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace);
    pack.finalize();
    check(api().set_stream(handle(), stream()), "cudnnSetStream");
    note_launch({"cudnn", 1, 1});
    check(api().execute(handle(), plan_.raw(), pack.raw()), "cudnnBackendExecute");
  }

 private:
  Descriptor plan_;
  std::size_t workspace_;
};

}  // namespace

std::string unavailable_reason() { return loaded<Api>().library.unavailable_reason(); }

std::int64_t version() { return static_cast<std::int64_t>(api().version()); }

std::vector<Algorithm> engines(const Convolution& c) {
  const Descriptor graph = graph_of(c);
  std::vector<Algorithm> found;
  for (cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, mode);
    set_device(heuristics, {}, false, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, true);
    if (!heuristics.supported()) continue;
    for (const Descriptor& config : heuristics.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, most_engines)) {
      const std::vector<Descriptor> engine = config.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1);
      if (engine.empty() || !acceptable(engine[0], c)) continue;
      if (Algorithm e = engine_of(config, engine[0]); std::find(found.begin(), found.end(), e) == found.end()) found.push_back(std::move(e));
    }
  }
  return found;
}

std::unique_ptr<ExecutionPlan> plan(const Convolution& c, const Algorithm& wanted) {
  const Descriptor graph = graph_of(c);
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
  engine.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, wanted.index);
  set_device(engine, {}, false, CUDNN_ATTR_ENGINE_DEVICEPROP, true);
  if (!engine.supported() || !acceptable(engine, c)) return nullptr;

  std::vector<Descriptor> choices;
  for (const auto& [type, value] : wanted.knobs) {
    Descriptor& choice = choices.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    choice.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, static_cast<cudnnBackendKnobType_t>(type));
    choice.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, value);
    choice.finalize();
  }
  Descriptor config(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  config.set(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  if (!choices.empty()) config.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, choices);
  if (!config.supported()) return nullptr;

  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  set_device(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, true, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, true);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
  if (!plan.supported()) return nullptr;
  return std::make_unique<CudnnPlan>(std::move(plan));
}

void use_properties(const std::string& json) { properties() = json; }

}  // namespace g2s::cuda::dnn

#else

namespace g2s::cuda::dnn {
namespace {
constexpr const char* without = "this program was built without cuDNN's headers";
}  // namespace

std::string unavailable_reason() { return without; }
std::int64_t version() { fail(Errc::unsupported, "cuDNN", without); }
std::vector<Algorithm> engines(const Convolution&) { fail(Errc::unsupported, "cuDNN", without); }
std::unique_ptr<ExecutionPlan> plan(const Convolution&, const Algorithm&) { fail(Errc::unsupported, "cuDNN", without); }
void use_properties(const std::string&) { fail(Errc::unsupported, "cuDNN", without); }

}  // namespace g2s::cuda::dnn
#endif
#endif
