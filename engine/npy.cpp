#include "engine/npy.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

#include "engine/files.h"

namespace g2s {
namespace {

constexpr std::string_view magic("\x93NUMPY", 6);
constexpr std::pair<std::string_view, DType> types[] = {{"f4", DType::f32}, {"f8", DType::f64}, {"i4", DType::i32}};

// The value of a key in the header, a Python dict literal: a quoted string, a tuple or a word, with its delimiters.
std::string_view dict_value(const std::string& path, std::string_view header, std::string_view key) {
  std::size_t at = header.find(str("'", key, "'"));
  if (at != std::string_view::npos) at = header.find(':', at);
  if (at != std::string_view::npos) at = header.find_first_not_of(" ", at + 1);
  if (at == std::string_view::npos) fail(Errc::format, path, "is not a .npy file: its header has no ", key);
  std::string_view rest = header.substr(at);
  std::size_t end;
  if (rest[0] == '\'') end = rest.find('\'', 1);
  else if (rest[0] == '(') end = rest.find(')');
  else end = rest.find_first_of(",}") - 1;
  if (end >= rest.size()) fail(Errc::format, path, "is not a .npy file: its header is malformed");
  return rest.substr(0, end + 1);
}

std::vector<std::int64_t> parse_shape(const std::string& path, std::string_view tuple) {
  std::vector<std::int64_t> shape;
  std::int64_t value = -1;
  for (char c : tuple.substr(1)) {
    if (c >= '0' && c <= '9') {
      if (value > std::numeric_limits<std::int64_t>::max() / 10 - 10) fail(Errc::format, path, "has a shape that overflows");
      value = std::max<std::int64_t>(value, 0) * 10 + (c - '0');
    } else if (c == ',' || c == ')') {
      if (shape.size() == 64) fail(Errc::format, path, "is not a .npy file: it has more than 64 dimensions");
      if (value >= 0) shape.push_back(value);
      value = -1;
    } else if (c != ' ') {
      fail(Errc::format, path, "is not a .npy file: its shape is malformed");
    }
  }
  return shape;
}

DType parse_type(const std::string& path, std::string_view quoted, bool& swap) {
  std::string_view type = quoted.size() > 2 ? quoted.substr(1, quoted.size() - 2) : std::string_view{};
  if (type == "|u1" || type == "<u1" || type == "u1") return DType::u8;
  swap = !type.empty() && type[0] == '>';
  if (!type.empty() && (type[0] == '<' || type[0] == '>'))
    for (const auto& [name, dtype] : types)
      if (type.substr(1) == name) return dtype;
  fail(Errc::format, path, "holds numbers of type ", quoted, "; f4, f8, i4 and u1 can be read");
}

std::string type_name(const std::string& path, DType dtype) {
  if (dtype == DType::u8) return "|u1";
  for (const auto& [name, own] : types)
    if (own == dtype) return str("<", name);
  fail(Errc::invalid_argument, path, "a .npy file cannot hold ", dtype);
}

}  // namespace

NpyHeader parse_npy_header(const std::string& path, std::string_view content) {
  if (content.size() < 10 || content.substr(0, 6) != magic) fail(Errc::format, path, "is not a .npy file");
  const bool wide = content[6] >= 2;  // versions 2 and 3 have a 32-bit header length
  const std::size_t head = wide ? 12 : 10;
  if (content[6] < 1 || content[6] > 3 || content.size() < head) fail(Errc::format, path, "is not a .npy file of version 1, 2 or 3");
  std::uint32_t length = 0;
  std::memcpy(&length, content.data() + 8, wide ? 4 : 2);
  if (length > content.size() - head) fail(Errc::format, path, "is truncated");
  const std::string_view text = content.substr(head, length), order = dict_value(path, text, "fortran_order");
  if (order != "False" && order != "True") fail(Errc::format, path, "is not a .npy file: its header is malformed");
  const std::string_view shape = dict_value(path, text, "shape"), type = dict_value(path, text, "descr");
  if (shape.front() != '(') fail(Errc::format, path, "is not a .npy file: its shape is malformed");
  return {std::string(type), order == "True", parse_shape(path, shape), head + length};
}

Tensor read_npy(const std::string& path) {
  std::string content = read_file(path, std::size_t{1} << 32);
  const NpyHeader header = parse_npy_header(path, content);
  bool swap = false;
  DType dtype = parse_type(path, header.type, swap);
  if (header.fortran_order) fail(Errc::format, path, "is in Fortran order, which cannot be read");
  if (header.shape.size() > Shape::max_rank) fail(Errc::format, path, "has more than ", Shape::max_rank, " dimensions");
  const Shape shape(header.shape);
  std::uint64_t wanted = size_of(dtype);
  for (std::int64_t d : shape)
    if (__builtin_mul_overflow(wanted, static_cast<std::uint64_t>(d), &wanted)) fail(Errc::format, path, "has a shape that overflows");
  std::size_t have = content.size() - header.data_begin;
  if (have != wanted) {
    fail(Errc::format, path, have < wanted ? "is truncated: " : "is too long: ", have, " bytes for ", dtype, " ", shape, ", which takes ", wanted);
  }
  Tensor out = Tensor::empty(shape, dtype, Device{});
  if (have == 0) return out;
  char* data = static_cast<char*>(out.mutable_raw());
  std::memcpy(data, content.data() + header.data_begin, have);
  if (swap)
    for (std::size_t i = 0; i < have; i += size_of(dtype)) std::reverse(data + i, data + i + size_of(dtype));
  return out;
}

void write_npy(const std::string& path, const Tensor& tensor) {
  std::string header = str("{'descr': '", type_name(path, tensor.dtype()), "', 'fortran_order': False, 'shape': (");
  for (std::int64_t d : tensor.shape()) header += str(d, tensor.rank() == 1 ? "," : ", ");
  if (tensor.rank() > 1) header.resize(header.size() - 2);
  header += "), }";
  std::size_t total = (10 + header.size() + 1 + 63) / 64 * 64;  // the data starts aligned
  header.resize(total - 11, ' ');
  header += '\n';
  std::uint16_t length = static_cast<std::uint16_t>(header.size());
  AtomicFile file(path);
  file.write(magic);
  file.write(std::string_view("\x01\x00", 2));
  file.write(&length, 2);
  file.write(header);
  file.write(tensor.raw(), tensor.bytes());
  file.commit();
}

}  // namespace g2s
