// One function per format. Each takes the whole file and fills the checkpoint; `path` is for messages alone. All throw Error(format) naming it.
#pragma once

#include "weights_converter/checkpoint.h"
#include "weights_converter/pickle.h"
#include "weights_converter/zip.h"

namespace g2s::convert {

// The root of the tree that a file's pickles make; the checkpoint's tensors are listed from it.
const Value* read_pytorch_zip(ReadContext& context, const std::vector<ZipMember>& members);
const Value* read_pytorch_legacy(ReadContext& context, const Bytes& file);
const Value* read_plain_pickle(ReadContext& context, const Bytes& file);

bool is_pytorch_zip(const std::vector<ZipMember>& members);
bool is_pytorch_legacy(std::string_view start);

void read_npy(Checkpoint& checkpoint, ReadContext& context, const Bytes& file, const std::string& name);  // adds one tensor, or a tree of objects
void read_npz(Checkpoint& checkpoint, ReadContext& context, const std::vector<ZipMember>& members);
void read_onnx(Checkpoint& checkpoint, ReadContext& context, const Bytes& file);
bool looks_like_onnx(std::string_view file);
// OpenVINO models: the text of one, whose numbers are `checkpoint.beside`, or an archive with pairs of .xml and .bin.
void read_openvino(Checkpoint& checkpoint, ReadContext& context, const Bytes& file);
bool looks_like_openvino(std::string_view start);
bool has_openvino(const std::vector<ZipMember>& members);
void read_tflite(Checkpoint& checkpoint, ReadContext& context, const Bytes& file);
bool looks_like_tflite(std::string_view start);
void read_safetensors(Checkpoint& checkpoint, ReadContext& context, const Bytes& file);

// All tensors of a tree under their paths (tree.cpp).
void list_tensors(Checkpoint& checkpoint, ReadContext& context);

}  // namespace g2s::convert
