#include "weights_converter/pickle_globals.h"

#include <algorithm>
#include <string>

namespace g2s::convert {
namespace {

using enum GlobalKind;

constexpr KnownGlobal globals[] = {
    {"torch._utils", "_rebuild_tensor", rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v2", rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v3", rebuild_tensor_v3},
    {"torch._utils", "_rebuild_parameter", rebuild_parameter},
    {"torch._utils", "_rebuild_parameter_with_state", rebuild_parameter},
    {"torch._utils", "_rebuild_device_tensor_from_numpy", rebuild_parameter},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", rebuild_parameter},
    {"torch._utils", "_rebuild_xla_tensor", rebuild_parameter},
    {"torch.nn.parameter", "Parameter", rebuild_parameter},
    {"torch.nn.parameter", "Buffer", rebuild_parameter},
    {"torch._tensor", "_rebuild_from_type", rebuild_from_type},
    {"torch._tensor", "_rebuild_from_type_v2", rebuild_from_type},
    {"torch._utils", "_rebuild_sparse_tensor", unread_tensor},
    {"torch._utils", "_rebuild_sparse_csr_tensor", unread_tensor},
    {"torch._utils", "_rebuild_nested_tensor", unread_tensor},
    {"torch._utils", "_rebuild_qtensor", unread_tensor},
    {"torch._utils", "_rebuild_meta_tensor_no_storage", unread_tensor},
    {"torch._utils", "_rebuild_wrapper_subclass", unread_tensor},
    {"torch.storage", "_load_from_bytes", load_from_bytes},
    {"torch.storage", "UntypedStorage", storage, NumberType::u8},
    {"torch.storage", "_UntypedStorage", storage, NumberType::u8},
    {"torch", "Size", tuple},
    {"torch", "device", instance},
    {"collections", "OrderedDict", dict},
    {"collections", "Counter", dict},
    {"collections", "defaultdict", default_dict},
    {"dnnlib.util", "EasyDict", dict},
    {"dnnlib", "EasyDict", dict},
    {"builtins", "dict", dict},
    {"builtins", "list", list},
    {"builtins", "tuple", tuple},
    {"builtins", "set", set},
    {"builtins", "frozenset", set},
    {"builtins", "bytes", bytes},
    {"builtins", "bytearray", bytes},
    {"builtins", "object", class_name},
    {"_codecs", "encode", text_encode},
    {"numpy.core.multiarray", "_reconstruct", numpy_reconstruct},
    {"numpy.core.multiarray", "scalar", numpy_scalar},
    {"numpy.core.numeric", "_frombuffer", numpy_from_buffer},
    {"numpy", "dtype", numpy_dtype},
    {"numpy", "ndarray", class_name},
    {"copyreg", "_reconstructor", reconstructor},
    {"torch_utils.persistence", "_reconstruct_persistent_obj", persistent_object},
    {"dnnlib.tflib.network", "Network", instance},
    {"argparse", "Namespace", instance},
    {"builtins", "complex", instance},
    {"torch.serialization", "_get_layout", instance},
};

struct TorchType {
  const char *storage, *dtype;
  NumberType type;
};

constexpr TorchType torch_types[] = {
    {"FloatStorage", "float32", NumberType::f32},         {"DoubleStorage", "float64", NumberType::f64},
    {"HalfStorage", "float16", NumberType::f16},          {"BFloat16Storage", "bfloat16", NumberType::bf16},
    {"LongStorage", "int64", NumberType::i64},            {"IntStorage", "int32", NumberType::i32},
    {"ShortStorage", "int16", NumberType::i16},           {"CharStorage", "int8", NumberType::i8},
    {"ByteStorage", "uint8", NumberType::u8},             {"BoolStorage", "bool", NumberType::boolean},
    {"ComplexFloatStorage", "complex64", NumberType::complex64}, {"ComplexDoubleStorage", "complex128", NumberType::complex128},
    {"", "uint16", NumberType::u16},                      {"", "uint32", NumberType::u32},
    {"", "uint64", NumberType::u64},                      {"", "float8_e4m3fn", NumberType::f8_e4m3},
    {"", "float8_e5m2", NumberType::f8_e5m2},             {"UntypedStorage", "", NumberType::u8},
    {"", "float8_e4m3fnuz", NumberType::f8_e4m3fnuz},     {"", "float8_e5m2fnuz", NumberType::f8_e5m2fnuz},
    {"", "float8_e8m0fnu", NumberType::f8_e8m0},          {"QInt8Storage", "", NumberType::i8},
    {"QUInt8Storage", "", NumberType::u8},                {"QInt32Storage", "", NumberType::i32},
    {"QUInt4x2Storage", "", NumberType::u8},              {"QUInt2x4Storage", "", NumberType::u8},
};

struct Dangerous {
  std::string_view module, names;  // names, each between blanks; empty: all
};

constexpr Dangerous dangerous[] = {
    {"builtins", " eval exec execfile compile __import__ open input breakpoint globals vars apply "},
    {"os", ""}, {"posix", ""}, {"nt", ""}, {"subprocess", ""}, {"sys", ""}, {"shutil", ""}, {"socket", ""}, {"runpy", ""}, {"importlib", ""},
    {"pty", ""}, {"commands", ""}, {"ctypes", ""}, {"pickle", " loads load Unpickler "}, {"_pickle", " loads load Unpickler "},
    {"marshal", ""}, {"webbrowser", ""}, {"pip", ""}, {"code", ""}, {"timeit", ""}, {"pdb", ""}, {"bdb", ""},
    {"torch", " load save compile "}, {"torch.hub", ""}, {"torch.serialization", " load save "}, {"numpy", " load loadtxt save fromfile "},
};

// torch.FloatStorage, torch.cuda.FloatStorage and torch.float32, as a table that is made once.
const std::vector<KnownGlobal>& torch_globals() {
  static const std::vector<KnownGlobal> all = [] {
    std::vector<KnownGlobal> list;
    for (const TorchType& t : torch_types) {
      if (*t.storage) list.push_back({"torch", t.storage, storage, t.type});
      if (*t.storage) list.push_back({"torch.cuda", t.storage, storage, t.type});
      if (*t.dtype) list.push_back({"torch", t.dtype, number_type, t.type});
    }
    return list;
  }();
  return all;
}

std::string_view today(std::string_view module) {
  if (module == "__builtin__") return "builtins";
  if (module == "copy_reg") return "copyreg";
  if (module == "numpy._core.multiarray") return "numpy.core.multiarray";
  if (module == "numpy._core.numeric") return "numpy.core.numeric";
  return module;
}

}  // namespace

GlobalKind kind_of_global(std::string_view module, std::string_view name) {
  const KnownGlobal* known = find_global(module, name);
  return known ? known->kind : foreign;
}

bool runs_something(std::string_view module, std::string_view name) {
  module = today(module);
  if (std::any_of(module.begin(), module.end(), [](unsigned char c) { return c < ' '; })) return true;  // no module's name
  return std::any_of(std::begin(dangerous), std::end(dangerous), [&](const Dangerous& d) {
    const bool below = d.names.empty() && module.size() > d.module.size() && module.starts_with(d.module) && module[d.module.size()] == '.';
    if (module != d.module && !below) return false;
    // Nested names, such as __class__.__init__, reach anything.
    return d.names.empty() || d.names.find(" " + std::string(name) + " ") != std::string_view::npos;
  });
}

const KnownGlobal* find_global(std::string_view module, std::string_view name) {
  module = today(module);
  auto is_it = [&](const KnownGlobal& g) { return module == g.module && name == g.name; };
  if (const auto* found = std::find_if(std::begin(globals), std::end(globals), is_it); found != std::end(globals)) return found;
  const auto& torch = torch_globals();
  const auto found = std::find_if(torch.begin(), torch.end(), is_it);
  return found == torch.end() ? nullptr : &*found;
}

}  // namespace g2s::convert
