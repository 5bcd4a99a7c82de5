// ONNX models: the initialisers (and tensors of Constant nodes), and the Conv nodes in execution order, which is the order of the file.
#include <algorithm>
#include <cstring>
#include <optional>

#include "weights_converter/formats.h"
#include "weights_converter/numbers.h"
#include "weights_converter/protobuf.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

// onnx.proto's numbers of fields.
namespace field {
namespace model { enum : std::uint64_t { ir_version = 1, graph = 7 }; }
namespace graph { enum : std::uint64_t { node = 1, initializer = 5, sparse_initializer = 15 }; }
namespace node { enum : std::uint64_t { input = 1, output = 2, name = 3, op_type = 4, attribute = 5 }; }
namespace attribute { enum : std::uint64_t { name = 1, i = 3, t = 5, ints = 8 }; }
namespace tensor {
enum : std::uint64_t {
  dims = 1, data_type = 2, segment = 3, float_data = 4, int32_data = 5, int64_data = 7, name = 8, raw_data = 9, double_data = 10, uint64_data = 11,
  external_data = 13, data_location = 14
};
}
}  // namespace field

std::optional<NumberType> number_type(std::uint64_t data_type) {
  switch (data_type) {
    case 1: return NumberType::f32;
    case 2: return NumberType::u8;
    case 3: return NumberType::i8;
    case 4: return NumberType::u16;
    case 5: return NumberType::i16;
    case 6: return NumberType::i32;
    case 7: return NumberType::i64;
    case 9: return NumberType::boolean;
    case 10: return NumberType::f16;
    case 11: return NumberType::f64;
    case 12: return NumberType::u32;
    case 13: return NumberType::u64;
    case 14: return NumberType::complex64;
    case 15: return NumberType::complex128;
    case 16: return NumberType::bf16;
    case 17: return NumberType::f8_e4m3;
    case 19: return NumberType::f8_e5m2;
    default: return std::nullopt;
  }
}

struct Node {
  std::string name, type;
  std::vector<std::string> inputs, outputs;
  OnnxConv conv;
  std::optional<std::string_view> value;  // of a Constant
};

class Reader {
 public:
  Reader(Checkpoint& checkpoint, ReadContext& context, const Bytes& file)
      : checkpoint_(checkpoint), context_(context), path_(checkpoint.path), file_(file), memory_(file.load()) {}

  void read() {
    std::vector<Node> nodes;
    for (ProtobufReader model(path_, memory_.view()); model.next();) {
      if (model.field() != field::model::graph) continue;
      for (ProtobufReader graph = model.message(); graph.next();) {
        if (graph.field() == field::graph::initializer) add_tensor(graph.bytes(), "");
        if (graph.field() == field::graph::sparse_initializer) fail(Errc::unsupported, path_, "has sparse initialisers, which cannot be read");
        if (graph.field() == field::graph::node) nodes.push_back(read_node(graph.message()));
      }
    }
    for (const Node& n : nodes)
      if (n.value && !n.outputs.empty()) add_tensor(*n.value, n.outputs[0]);
    link(nodes);
  }

 private:
  Node read_node(ProtobufReader message) {
    Node node;
    std::vector<std::string_view> attributes;
    context_.arena->charge(sizeof node);
    while (message.next()) switch (message.field()) {
        case field::node::input: add_text(node.inputs, message.bytes()); break;
        case field::node::output: add_text(node.outputs, message.bytes()); break;
        case field::node::name: node.name = message.bytes(); break;
        case field::node::op_type: node.type = message.bytes(); break;
        case field::node::attribute:
          context_.arena->charge(2 * sizeof(std::string_view));
          attributes.push_back(message.bytes());
          break;
        default: break;
      }
    for (std::string_view a : attributes) read_attribute(ProtobufReader(path_, a), node);
    return node;
  }

  void add_text(std::vector<std::string>& list, std::string_view text) {
    context_.arena->charge(2 * sizeof(std::string));
    list.emplace_back(text);
  }

  void read_attribute(ProtobufReader message, Node& node) {
    std::string_view name, value;
    std::vector<std::int64_t> ints;
    std::int64_t number = 0;
    while (message.next()) switch (message.field()) {
        case field::attribute::name: name = message.bytes(); break;
        case field::attribute::i: number = static_cast<std::int64_t>(message.number()); break;
        case field::attribute::t: value = message.bytes(); break;
        case field::attribute::ints:
          message.numbers([&](std::uint64_t v) {
            if (node.type == "Conv" && ints.size() < 64) ints.push_back(static_cast<std::int64_t>(v));
          });
          break;
        default: break;
      }
    if (node.type == "Constant" && name == "value") node.value = value;
    if (node.type != "Conv") return;
    if (name == "group") node.conv.group = number;
    if (name == "kernel_shape") node.conv.kernel_shape = ints;
    if (name == "strides") node.conv.strides = ints;
    if (name == "pads") node.conv.pads = ints;
    if (name == "dilations") node.conv.dilations = ints;
  }

  void add_tensor(std::string_view bytes, const std::string& other_name) {
    SourceTensor t;
    t.name = other_name;
    std::uint64_t data_type = 0;
    std::string_view raw;
    std::string typed;
    bool has_raw = false;
    for (ProtobufReader m(path_, bytes); m.next();) {
      if (m.field() == field::tensor::name && !m.bytes().empty()) t.name = m.bytes();
      if (m.field() == field::tensor::data_type) data_type = m.number();
    }
    const auto type = number_type(data_type);
    if (!type) fail(Errc::unsupported, path_, "initialiser ", printable(t.name), " has the type ", data_type, ", which is none of numbers");
    t.type = *type;
    for (ProtobufReader m(path_, bytes); m.next();) switch (m.field()) {
        case field::tensor::dims: m.numbers([&](std::uint64_t d) { add_dimension(t, d); }); break;
        case field::tensor::segment: fail(Errc::unsupported, path_, "initialiser ", printable(t.name), " is stored in segments");
        case field::tensor::external_data: refuse_external(t);
        case field::tensor::data_location:
          if (m.number() != 0) refuse_external(t);
          break;
        case field::tensor::raw_data: raw = m.bytes(), has_raw = true; break;
        case field::tensor::float_data:
        case field::tensor::double_data: add_fixed(t, m, typed); break;
        case field::tensor::int32_data:
        case field::tensor::int64_data:
        case field::tensor::uint64_data: m.numbers([&](std::uint64_t v) { add_integer(t, v, typed); }); break;
        default: break;
      }
    if (has_raw && !typed.empty()) fail(Errc::format, path_, "initialiser ", printable(t.name), " has its numbers twice");
    t.strides = row_major(t.shape);
    const std::uint64_t have = has_raw ? raw.size() : typed.size();
    if (have != t.bytes()) {
      fail(Errc::format, path_, "initialiser ", printable(t.name), " has ", have, " bytes, but ", convert::describe(t.type, t.shape),
           " takes ", t.bytes());
    }
    t.storage = has_raw ? file_.slice(static_cast<std::uint64_t>(raw.data() - memory_.data), raw.size()) : own_bytes(std::move(typed));
    context_.arena->charge(2 * (sizeof t + sizeof(Node)));
    checkpoint_.tensors.push_back(std::move(t));
  }

  [[noreturn]] void refuse_external(const SourceTensor& t) const {
    fail(Errc::unsupported, path_, "initialiser ", printable(t.name), " lies in another file (external data): save the model as one file");
  }

  void add_dimension(SourceTensor& t, std::uint64_t d) const {
    if (t.shape.size() == 64 || d > std::uint64_t{1} << 58) fail(Errc::format, path_, "initialiser ", printable(t.name), " has a malformed shape");
    t.shape.push_back(static_cast<std::int64_t>(d));
  }

  void add_fixed(const SourceTensor& t, const ProtobufReader& m, std::string& out) {
    const bool fits = m.field() == field::tensor::float_data ? t.type == NumberType::f32 || t.type == NumberType::complex64
                                                             : t.type == NumberType::f64 || t.type == NumberType::complex128;
    if (!fits || m.wire() == Wire::varint) fail(Errc::format, path_, "initialiser ", printable(t.name), " has numbers of another type than it says");
    grow(m.raw().size());
    out += m.raw();
  }

  // Whole numbers, and the bits of 16-bit floating-point ones; little-endian, cut to the type's size.
  void add_integer(const SourceTensor& t, std::uint64_t value, std::string& out) {
    if (t.type == NumberType::f32 || t.type == NumberType::f64 || safetensors_name(t.type) == nullptr)
      fail(Errc::format, path_, "initialiser ", printable(t.name), " has numbers of another type than it says");
    const std::size_t size = size_of(t.type);
    grow(size);
    out.append(reinterpret_cast<const char*>(&value), size);
  }

  // Numbers that are not used where they lie: eight bytes may come from one.
  void grow(std::uint64_t bytes) {
    decoded_ += bytes;
    if (decoded_ > memory_.size) context_.arena->charge(bytes);
  }

  void link(const std::vector<Node>& nodes) {
    std::map<std::string_view, const SourceTensor*> by_name;
    for (const SourceTensor& t : checkpoint_.tensors) by_name.emplace(t.name, &t);
    auto find = [&](const Node& n, std::size_t i) -> const SourceTensor* {
      const auto found = i < n.inputs.size() ? by_name.find(n.inputs[i]) : by_name.end();
      return found == by_name.end() ? nullptr : found->second;
    };
    for (const Node& n : nodes) {
      if (n.type != "Conv") continue;
      OnnxConv conv = n.conv;
      conv.name = n.name;
      conv.weight = find(n, 1), conv.bias = find(n, 2);
      conv.input = n.inputs.empty() ? "" : n.inputs[0];
      conv.output = n.outputs.empty() ? "" : n.outputs[0];
      checkpoint_.convolutions.push_back(std::move(conv));
    }
  }

  Checkpoint& checkpoint_;
  ReadContext& context_;
  const std::string& path_;
  const Bytes& file_;
  Memory memory_;
  std::uint64_t decoded_ = 0;
};

}  // namespace

bool looks_like_onnx(std::string_view file) {
  const std::string nobody;
  bool graph = false, version = false;
  try {
    for (ProtobufReader model(nobody, file); model.next();) {
      graph |= model.field() == field::model::graph && model.wire() == Wire::bytes;
      version |= model.field() == field::model::ir_version && model.wire() == Wire::varint;
    }
  } catch (const Error&) {
    // A truncated model counts, so that the message says so: whoever has read a version has seen the very first field.
  }
  return graph || (version && !file.empty() && file[0] == 0x08);
}

void read_onnx(Checkpoint& checkpoint, ReadContext& context, const Bytes& file) { Reader(checkpoint, context, file).read(); }

}  // namespace g2s::convert
