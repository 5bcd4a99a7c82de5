// A checkpoint of any known format, opened: its tensors by name, and the tree they hang in.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/export.h"
#include "weights_converter/value.h"

namespace g2s { namespace convert G2S_EXPORTED {

enum class Format { pytorch_zip, pytorch_legacy, pickle, npy, npz, onnx, safetensors };
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

// All tensors of a file under their paths: keys and list indices joined by '.'. Modules (of NVIDIA's pickles) are named as state_dict() would:
// without _modules, _parameters and _buffers: G_ema.synthesis.b4.conv1.weight. Networks of NVIDIA's TensorFlow pickles (a tuple G, D, Gs) go by
// G, D, Gs, then component and variable: Gs.synthesis.4x4/Const/const. A tensor that is the whole file has the name "data".
struct Checkpoint {
  std::string path;
  Bytes file;                                   // all of it
  Format format = Format::pickle;
  std::vector<SourceTensor> tensors;            // in file order
  const Value* root = nullptr;                  // pickles of all kinds; null for npy, npz, ONNX and safetensors
  std::vector<OnnxConv> convolutions;           // ONNX, in execution order
  std::map<std::string, std::string> metadata;  // safetensors' own
  std::vector<std::string> notes;               // what a reader of `info` may want to know, one sentence each

  // Null if there is none of that name.
  const SourceTensor* find(const std::string& name) const;

  std::shared_ptr<const ValueArena> arena;  // what owns `root`
  std::map<std::string, std::size_t> index;  // of tensors, the first of each name
};

// Told by its content, whatever its name. Throws Error(io) or Error(format) naming the file and what is wrong; unknown globals of a pickle are
// refused by their name. Nothing in a file is ever executed.
std::shared_ptr<const Checkpoint> open_checkpoint(const std::string& path);
// The same of bytes that are at hand, in the given format; `path` is for messages.
std::shared_ptr<const Checkpoint> read_checkpoint(const std::string& path, const Bytes& file, Format format);

}}  // namespace g2s::convert
