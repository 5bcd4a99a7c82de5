// A checkpoint of any known format, opened: its tensors by name, and the tree they hang in.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/export.h"
#include "weights_converter/value.h"

namespace g2s { namespace convert G2S_EXPORTED {

enum class Format { pytorch_zip, pytorch_legacy, pickle, npy, npz, onnx, safetensors, openvino, tflite };
const char* to_string(Format format);  // PyTorch zip archive, pickle, ONNX, ...

// A Conv node of an ONNX graph. Inputs that are no initialisers are absent.
struct OnnxConv {
  std::string name;
  const SourceTensor* weight = nullptr;  // null: computed by the graph
  const SourceTensor* bias = nullptr;    // null: none, or computed
  std::string input, output;             // value names
  std::vector<std::int64_t> kernel_shape, strides, pads, dilations;  // as written: empty where the default holds
  std::int64_t group = 1;
};

// A layer of an OpenVINO model.
struct IrLayer {
  struct Input {
    std::size_t layer = 0;  // its place in the model
    std::int64_t port = 0;  // of that layer; ports count on from a layer's inputs to its outputs
  };
  std::string name, type;                    // type: Parameter, Const, MatMul, ...
  std::map<std::string, std::string> data;   // its attributes, as written
  std::vector<Input> inputs;                 // in the order of this layer's ports
  std::optional<std::size_t> tensor;         // of a Const: its place in Checkpoint::tensors
};
struct IrModel {
  std::string name;             // of its files: SynthesisNetwork
  std::vector<IrLayer> layers;  // edges may form circles
};

// All tensors of a file under their paths: keys and list indices joined by '.'. Modules (of NVIDIA's pickles) are named as state_dict() would:
// without _modules, _parameters and _buffers: G_ema.synthesis.b4.conv1.weight. Networks of NVIDIA's TensorFlow pickles (a tuple G, D, Gs) go by
// G, D, Gs, then component and variable: Gs.synthesis.4x4/Const/const. A tensor that is the whole file has the name "data".
struct Checkpoint {
  std::string path;
  Bytes file;                                   // all of it
  Bytes beside;                                 // the .bin of an OpenVINO .xml; else empty
  Format format = Format::pickle;
  std::vector<SourceTensor> tensors;            // in file order
  const Value* root = nullptr;                  // pickles of all kinds; null for the others
  std::vector<OnnxConv> convolutions;           // ONNX, in execution order
  std::vector<IrModel> models;                  // OpenVINO
  std::map<std::string, std::string> metadata;  // safetensors' own; of TFLite "graph", its operators as JSON (docs/checkpoints.md)
  std::map<std::string, std::string> unread;    // tensors that are left out, and what they are: a sparse tensor
  std::vector<std::string> notes;               // what a reader of `info` may want to know, one sentence each

  // Null if there is none of that name.
  const SourceTensor* find(const std::string& name) const;

  std::shared_ptr<const ValueArena> arena;  // what owns `root`
  std::map<std::string, std::size_t> index;  // of tensors, the first of each name
};

// Told by its content, whatever its name. Throws Error(io) or Error(format) naming the file and what is wrong. Objects of unknown classes stay
// inert data; a pickle that asks for what runs programs is refused. Nothing in a file is ever executed.
std::shared_ptr<const Checkpoint> open_checkpoint(const std::string& path);
// The same of bytes that are at hand, in the given format; `path` is for messages. `beside`: the .bin of an OpenVINO .xml.
std::shared_ptr<const Checkpoint> read_checkpoint(const std::string& path, const Bytes& file, Format format, const Bytes& beside = {});

}}  // namespace g2s::convert
