#include "weights_converter/numpy_types.h"

#include "engine/error.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

struct Named {
  std::string_view name;
  NumberType type;
};

constexpr Named names[] = {
    {"f2", NumberType::f16}, {"f4", NumberType::f32}, {"f8", NumberType::f64}, {"i1", NumberType::i8},       {"i2", NumberType::i16},
    {"i4", NumberType::i32}, {"i8", NumberType::i64}, {"u1", NumberType::u8},  {"u2", NumberType::u16},      {"u4", NumberType::u32},
    {"u8", NumberType::u64}, {"b1", NumberType::boolean}, {"c8", NumberType::complex64}, {"c16", NumberType::complex128},
};

}  // namespace

NumpyDescription parse_numpy_type(const std::string& path, std::string_view text) {
  NumpyDescription out;
  std::string_view name = text;
  if (!name.empty() && (name[0] == '<' || name[0] == '>' || name[0] == '|' || name[0] == '=')) {
    out.big_endian = name[0] == '>';
    name.remove_prefix(1);
  }
  if (name == "O" || name == "O4" || name == "O8") {
    out.objects = true;
    return out;
  }
  for (const Named& n : names)
    if (n.name == name) {
      out.type = n.type;
      return out;
    }
  fail(Errc::format, path, "has a numpy array of type '", printable(text), "', which is none of numbers");
}

NumpyDescription describe_numpy(const std::string& path, const Value* dtype) {
  const Object* object = dtype->object();
  const Value* name = object && object->module == "numpy" && object->name == "dtype" && object->arguments ? object->arguments->at(0) : nullptr;
  if (!name || !name->string()) fail(Errc::format, path, "its pickle has a numpy array of a malformed type");
  NumpyDescription out = parse_numpy_type(path, *name->string());
  const Value* order = object->state ? object->state->at(1) : nullptr;
  if (order && order->string()) out.big_endian = *order->string() == ">";
  return out;
}

}  // namespace g2s::convert
