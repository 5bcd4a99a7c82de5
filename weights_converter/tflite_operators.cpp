#include "weights_converter/tflite_operators.h"

#include <vector>

namespace g2s::convert {
namespace {

using nlohmann::ordered_json;

enum class Kind { padding, activation, integer, pair, flag, real, integers };

struct Option {
  const char* name;
  Kind kind;
  int field;        // its number in the schema; of a pair that of the columns'
  int rows = 0;     // of a pair
  int otherwise = 0;
};

struct Operator {
  std::int32_t code;
  const char* name;
  std::uint8_t options_type = 0;  // 0: it has none
  std::vector<Option> options = {};
};

Option padding(int field) { return {"padding", Kind::padding, field}; }
Option activation(int field) { return {"activation", Kind::activation, field}; }
Option stride() { return {"stride", Kind::pair, 1, 2}; }
Option filter() { return {"filter", Kind::pair, 3, 4}; }
Option dilation(int columns, int rows) { return {"dilation", Kind::pair, columns, rows, 1}; }

// Numbers of operators, of the types of their options and of fields are those of TensorFlow's schema.fbs.
const std::vector<Operator>& operators() {
  static const std::vector<Operator> all = {
      {0, "ADD", 11, {activation(0)}},
      {1, "AVERAGE_POOL_2D", 5, {padding(0), stride(), filter(), activation(5)}},
      {2, "CONCATENATION", 10, {{"axis", Kind::integer, 0}, activation(1)}},
      {3, "CONV_2D", 1, {padding(0), stride(), activation(3), dilation(4, 5)}},
      {4, "DEPTHWISE_CONV_2D", 2, {padding(0), stride(), {"multiplier", Kind::integer, 3}, activation(4), dilation(5, 6)}},
      {5, "DEPTH_TO_SPACE", 94, {{"block", Kind::integer, 0}}},
      {6, "DEQUANTIZE", 38},
      {9, "FULLY_CONNECTED", 8, {activation(0), {"keep_dims", Kind::flag, 2}}},
      {14, "LOGISTIC"},
      {17, "MAX_POOL_2D", 5, {padding(0), stride(), filter(), activation(5)}},
      {18, "MUL", 21, {activation(0)}},
      {19, "RELU"},
      {21, "RELU6"},
      {22, "RESHAPE", 17, {{"shape", Kind::integers, 0}}},
      {23, "RESIZE_BILINEAR", 15, {{"align_corners", Kind::flag, 2}, {"half_pixel_centers", Kind::flag, 3}}},
      {25, "SOFTMAX", 9, {{"beta", Kind::real, 0}}},
      {28, "TANH"},
      {34, "PAD", 22},
      {39, "TRANSPOSE", 26},
      {40, "MEAN", 27, {{"keep_dims", Kind::flag, 0}}},
      {41, "SUB", 28, {activation(0)}},
      {42, "DIV", 29, {activation(0)}},
      {43, "SQUEEZE", 30, {{"axes", Kind::integers, 0}}},
      {54, "PRELU"},
      {98, "LEAKY_RELU", 75, {{"alpha", Kind::real, 0}}},
      {117, "HARD_SWISH", 91},
  };
  return all;
}

const Operator* find(std::int32_t code) {
  for (const Operator& op : operators())
    if (op.code == code) return &op;
  return nullptr;
}

const char* named(FlatBuffer& buffer, const std::vector<const char*>& names, std::int8_t value, const char* what) {
  if (value < 0 || static_cast<std::size_t>(value) >= names.size()) buffer.bad("an operator has the ", what, " ", int{value}, ", which is not known");
  return names[static_cast<std::size_t>(value)];
}

ordered_json value_of(FlatBuffer& buffer, const Option& option, const FlatTable& table) {
  switch (option.kind) {
    case Kind::padding: return named(buffer, {"same", "valid"}, table.number<std::int8_t>(option.field, 0), "padding");
    case Kind::activation:
      return named(buffer, {"none", "relu", "relu_n1_to_1", "relu6", "tanh", "sign_bit"}, table.number<std::int8_t>(option.field, 0), "activation");
    case Kind::integer: return table.number<std::int32_t>(option.field, option.otherwise);
    case Kind::pair:
      return {table.number<std::int32_t>(option.rows, option.otherwise), table.number<std::int32_t>(option.field, option.otherwise)};
    case Kind::flag: return table.number<std::uint8_t>(option.field, 0) != 0;
    case Kind::real: return table.number<float>(option.field, 0);
    case Kind::integers: {
      const std::vector<std::int32_t> values = table.numbers<std::int32_t>(option.field);
      if (values.size() > 64) buffer.bad("an operator has ", values.size(), " dimensions");
      return values;
    }
  }
  return nullptr;
}

}  // namespace

std::string tflite_operator_name(std::int32_t code) {
  const Operator* op = find(code);
  return op ? op->name : str("BUILTIN_", code);
}

ordered_json tflite_options(FlatBuffer& buffer, std::int32_t code, const FlatTable& table, bool& known) {
  enum : int { options_type = 3, options = 4 };
  const Operator* op = find(code);
  const auto type = table.number<std::uint8_t>(options_type, 0);
  ordered_json out = ordered_json::object();
  if (!op) {
    known = known && type == 0;
    return out;
  }
  if (type != 0 && op->options_type != 0 && type != op->options_type) buffer.bad("an operator ", op->name, " has the options of another one");
  const std::optional<FlatTable> values = table.table(options);
  if (!values) return out;  // RESHAPE may have its shape as an input
  for (const Option& option : op->options) out[option.name] = value_of(buffer, option, *values);
  return out;
}

}  // namespace g2s::convert
