// numpy's .npy and .npz files.
#include "engine/error.h"
#include "engine/npy.h"
#include "weights_converter/formats.h"
#include "weights_converter/numbers.h"
#include "weights_converter/numpy_types.h"

namespace g2s::convert {
namespace {

std::string without_quotes(const std::string& literal) {
  return literal.size() > 1 && literal.front() == '\'' ? literal.substr(1, literal.size() - 2) : literal;
}

}  // namespace

void read_npy(Checkpoint& checkpoint, ReadContext& context, const Bytes& file, const std::string& name) {
  const Memory memory = file.load();
  const NpyHeader header = parse_npy_header(context.path, memory.view());
  const NumpyDescription type = parse_numpy_type(context.path, without_quotes(header.type));
  if (type.objects) {  // pickled Python values
    const Unpickled content = unpickle(context, file, header.data_begin);
    bind_tensors(context, content);
    if (checkpoint.root) fail(Errc::unsupported, context.path, "has more than one array of Python objects");
    checkpoint.root = content.root;
    return;
  }
  SourceTensor t;
  t.name = name;
  t.type = type.type;
  t.big_endian = type.big_endian;
  t.shape = header.shape;
  t.strides = header.fortran_order ? column_major(t.shape) : row_major(t.shape);
  t.storage = file.slice(header.data_begin, file.size - header.data_begin);
  if (t.storage.size != t.bytes()) {
    fail(Errc::format, context.path, "array ", name, " has ", t.storage.size, " bytes, but ", convert::describe(t.type, t.shape), " takes ",
         t.bytes());
  }
  context.arena->charge(2 * sizeof t + 4 * name.size());
  checkpoint.tensors.push_back(std::move(t));
}

void read_npz(Checkpoint& checkpoint, ReadContext& context, const std::vector<ZipMember>& members) {
  for (const ZipMember& m : members) {
    if (!m.name.empty() && m.name.back() == '/') continue;
    const bool array = m.name.size() > 4 && m.name.substr(m.name.size() - 4) == ".npy";
    if (!array) checkpoint.notes.push_back("member " + m.name + " is no array");
    else read_npy(checkpoint, context, m.content, m.name.substr(0, m.name.size() - 4));
  }
}

}  // namespace g2s::convert
