// TFLite models: constants where they lie in the file, and the operators as JSON. Weights that are stored as halves and widened by an operator
// stay halves: that operator is left out, and what it widens takes the place of its output.
#include <algorithm>
#include <set>

#include "weights_converter/flatbuffer.h"
#include "weights_converter/formats.h"
#include "weights_converter/numbers.h"
#include "weights_converter/text.h"
#include "weights_converter/tflite_operators.h"

namespace g2s::convert {
namespace {

using nlohmann::ordered_json;

// The schema's numbers of fields (TensorFlow's schema.fbs, version 3).
namespace field {
namespace model { enum : int { version = 0, operator_codes = 1, subgraphs = 2, buffers = 4 }; }
namespace code { enum : int { deprecated_builtin = 0, custom = 1, builtin = 3 }; }
namespace subgraph { enum : int { tensors = 0, inputs = 1, outputs = 2, operators = 3 }; }
namespace tensor { enum : int { shape = 0, type = 1, buffer = 2, name = 3, quantization = 4, sparsity = 6 }; }
namespace quantization { enum : int { scale = 2 }; }
namespace op { enum : int { code = 0, inputs = 1, outputs = 2 }; }
namespace buffer { enum : int { data = 0, offset = 1 }; }
}  // namespace field

constexpr std::int32_t custom_code = 32, dequantize_code = 6;
constexpr std::uint32_t schema_version = 3;
constexpr std::uint64_t most_bytes = std::uint64_t{1} << 31;  // what the format's offsets reach

std::optional<NumberType> number_type(std::int8_t type) {
  switch (type) {
    case 0: return NumberType::f32;
    case 1: return NumberType::f16;
    case 2: return NumberType::i32;
    case 3: return NumberType::u8;
    case 4: return NumberType::i64;
    case 6: return NumberType::boolean;
    case 7: return NumberType::i16;
    case 8: return NumberType::complex64;
    case 9: return NumberType::i8;
    case 10: return NumberType::f64;
    case 11: return NumberType::complex128;
    case 12: return NumberType::u64;
    case 15: return NumberType::u32;
    case 16: return NumberType::u16;
    case 18: return NumberType::bf16;
    default: return std::nullopt;
  }
}

struct Value {
  std::string name;
  Dims shape;
  std::size_t stands_for;  // its own place, or that of the halves that were widened to it
  bool constant = false;
};

struct OperatorCode {
  std::int32_t code = 0;
  std::string name;
};

class Reader {
 public:
  Reader(Checkpoint& checkpoint, ReadContext& context, const Bytes& file)
      : checkpoint_(checkpoint), context_(context), path_(checkpoint.path), file_(file), memory_(file.load()), buffer_(context, memory_.view()) {}

  void read() {
    const FlatTable model = FlatTable::root(buffer_);
    const auto version = model.number<std::uint32_t>(field::model::version, 0);
    if (version != schema_version) fail(Errc::unsupported, path_, "is a TFLite model of version ", version, "; ", schema_version, " is read");
    model.tables(field::model::buffers, [&](const FlatTable& b) { read_buffer(b); });
    model.tables(field::model::operator_codes, [&](const FlatTable& c) { read_code(c); });
    int subgraphs = 0;
    model.tables(field::model::subgraphs, [&](const FlatTable& graph) {
      if (++subgraphs > 1) fail(Errc::unsupported, path_, "has several graphs; one is read");
      read_graph(graph);
    });
    if (subgraphs == 0) fail(Errc::format, path_, "is a TFLite model without a graph");
  }

 private:
  void read_buffer(const FlatTable& b) {
    if (b.number<std::uint64_t>(field::buffer::offset, 0) > 1) fail(Errc::unsupported, path_, "keeps numbers outside of its FlatBuffer");
    context_.arena->charge(2 * sizeof(std::string_view));
    buffers_.push_back(b.bytes(field::buffer::data));
  }

  // Numbers from 127 on are in a field of their own.
  void read_code(const FlatTable& c) {
    OperatorCode code;
    code.code = std::max<std::int32_t>(c.number<std::int8_t>(field::code::deprecated_builtin, 0), c.number<std::int32_t>(field::code::builtin, 0));
    code.name = code.code == custom_code ? text(c.bytes(field::code::custom)) : tflite_operator_name(code.code);
    context_.arena->charge(2 * sizeof code);
    codes_.push_back(std::move(code));
  }

  void read_graph(const FlatTable& graph) {
    graph.tables(field::subgraph::tensors, [&](const FlatTable& t) { read_tensor(t); });
    ordered_json description = {{"inputs", places(graph, field::subgraph::inputs)}, {"outputs", places(graph, field::subgraph::outputs)}};
    std::string operators;
    graph.tables(field::subgraph::operators, [&](const FlatTable& op) { read_operator(op, operators); });
    std::string head = description.dump();
    head.pop_back();
    checkpoint_.metadata["graph"] = head + ",\"operators\":[" + operators + "]}";
    if (unknown_ > 0) checkpoint_.notes.push_back(str("the options of ", unknown_, " operators are not known and are left out"));
  }

  void read_tensor(const FlatTable& t) {
    Value value;
    value.name = unique_name(text(t.bytes(field::tensor::name)));
    for (std::int32_t d : t.numbers<std::int32_t>(field::tensor::shape)) {
      if (value.shape.size() == 64) buffer_.bad("tensor ", printable(value.name), " has more than 64 dimensions");
      value.shape.push_back(d);
    }
    value.stands_for = values_.size();
    const auto place = t.number<std::uint32_t>(field::tensor::buffer, 0);
    if (place >= buffers_.size() && place > 0) buffer_.bad("tensor ", printable(value.name), " has the buffer ", place, " of ", buffers_.size());
    value.constant = place < buffers_.size() && !buffers_[place].empty();
    context_.arena->charge(2 * sizeof value + 8 * value.shape.size() + 64);
    if (value.constant) add_constant(t, value, buffers_[place]);
    values_.push_back(std::move(value));
  }

  void add_constant(const FlatTable& t, const Value& value, std::string_view bytes) {
    const std::string what = "tensor " + printable(value.name);
    const auto type = t.number<std::int8_t>(field::tensor::type, 0);
    const auto known = number_type(type);
    if (!known) fail(Errc::unsupported, path_, what, " has the type ", int{type}, ", which is none of numbers");
    if (t.has(field::tensor::sparsity)) fail(Errc::unsupported, path_, what, " is sparse, which cannot be read");
    const auto quantization = t.table(field::tensor::quantization);
    if (quantization && !quantization->numbers<float>(field::quantization::scale).empty())
      fail(Errc::unsupported, path_, what, " is quantised, which cannot be read");
    SourceTensor out;
    out.name = value.name;
    out.type = *known;
    out.shape = value.shape;
    if (std::any_of(out.shape.begin(), out.shape.end(), [](std::int64_t d) { return d < 0; })) buffer_.bad(what, " has a negative dimension");
    out.strides = row_major(out.shape);
    if (bytes.size() != out.bytes())
      buffer_.bad(what, " has ", bytes.size(), " bytes, but ", convert::describe(out.type, out.shape), " takes ", out.bytes());
    out.storage = file_.slice(static_cast<std::uint64_t>(bytes.data() - memory_.data), bytes.size());
    context_.arena->charge(2 * sizeof out + 2 * out.name.size() + 16 * out.shape.size());
    checkpoint_.tensors.push_back(std::move(out));
  }

  void read_operator(const FlatTable& op, std::string& out) {
    const auto code_place = op.number<std::uint32_t>(field::op::code, 0);
    if (code_place >= codes_.size()) buffer_.bad("an operator has the code ", code_place, " of ", codes_.size());
    const OperatorCode& code = codes_[code_place];
    const auto inputs = op.numbers<std::int32_t>(field::op::inputs), outputs = op.numbers<std::int32_t>(field::op::outputs);
    if (code.code == dequantize_code && inputs.size() == 1 && outputs.size() == 1 && value(inputs[0]).constant) {
      values_[checked(outputs[0])].stands_for = values_[checked(inputs[0])].stands_for;
      return;
    }
    ordered_json json = {{"op", code.name}, {"inputs", ordered_json::array()}, {"outputs", ordered_json::array()}, {"shapes", ordered_json::array()}};
    for (std::int32_t i : inputs) json["inputs"].push_back(i < 0 ? ordered_json() : name_of(i));  // -1: none is given
    for (std::int32_t i : outputs) {
      json["outputs"].push_back(name_of(i));
      json["shapes"].push_back(shape_of(i));
    }
    bool known = true;
    json["options"] = tflite_options(buffer_, code.code, op, known);
    if (!known) ++unknown_;
    const std::string line = json.dump();
    context_.arena->charge(2 * line.size());
    out += (out.empty() ? "" : ",") + line;
  }

  ordered_json places(const FlatTable& graph, int which) {
    ordered_json list = ordered_json::array();
    for (std::int32_t i : graph.numbers<std::int32_t>(which)) list.push_back({{"name", name_of(i)}, {"shape", shape_of(i)}});
    return list;
  }

  std::size_t checked(std::int32_t place) const {
    if (place < 0 || static_cast<std::size_t>(place) >= values_.size()) buffer_.bad("it speaks of tensor ", place, " of ", values_.size());
    return static_cast<std::size_t>(place);
  }
  const Value& value(std::int32_t place) const { return values_[values_[checked(place)].stands_for]; }

  // Copies of what may be named more than once.
  ordered_json name_of(std::int32_t place) const {
    const std::string& name = value(place).name;
    context_.arena->charge(2 * name.size() + 64);
    return name;
  }
  ordered_json shape_of(std::int32_t place) const {
    const Dims& shape = value(place).shape;
    context_.arena->charge(32 * shape.size() + 64);
    return shape;
  }

  std::string text(std::string_view bytes) const {
    context_.arena->charge(6 * bytes.size());  // what is made of it, and the copies below
    return is_utf8(bytes) ? std::string(bytes) : latin1_to_utf8(bytes);
  }

  std::string unique_name(std::string name) {
    if (name.empty()) name = str("tensor", values_.size());
    while (!names_.insert(name).second) name += str(".", values_.size());
    return name;
  }

  Checkpoint& checkpoint_;
  ReadContext& context_;
  const std::string& path_;
  const Bytes& file_;
  Memory memory_;
  FlatBuffer buffer_;
  std::vector<std::string_view> buffers_;
  std::vector<OperatorCode> codes_;
  std::vector<Value> values_;
  std::set<std::string> names_;
  std::int64_t unknown_ = 0;
};

}  // namespace

bool looks_like_tflite(std::string_view start) { return start.size() > 8 && start.substr(4, 4) == "TFL3"; }

void read_tflite(Checkpoint& checkpoint, ReadContext& context, const Bytes& file) {
  if (file.size >= most_bytes - 1) fail(Errc::unsupported, checkpoint.path, "is a TFLite model of ", file.size, " bytes; less than 2 GiB are read");
  if (!looks_like_tflite(file.load().view())) fail(Errc::format, checkpoint.path, "is no TFLite model of version 3, or is truncated");
  Reader(checkpoint, context, file).read();
}

}  // namespace g2s::convert
