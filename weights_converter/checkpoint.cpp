#include "weights_converter/checkpoint.h"

#include <cstring>
#include <filesystem>

#include "engine/error.h"
#include "weights_converter/formats.h"
#include "weights_converter/numbers.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

bool starts_with(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }

bool is_safetensors(std::string_view file) {
  std::uint64_t header = 0;
  if (file.size() < 9) return false;
  std::memcpy(&header, file.data(), sizeof header);
  return header < (1u << 30) && file[8] == '{';
}

bool is_tar(std::string_view file) { return file.size() > 262 && file.substr(257, 5) == "ustar"; }

// Protocols 2 and newer say so; older ones begin with a mark, a container or a global.
bool is_pickle(std::string_view file) {
  if (file.size() < 2) return false;
  if (file[0] == '\x80') return static_cast<unsigned char>(file[1]) <= 8;
  return std::string_view("(c]}").find(file[0]) != std::string_view::npos && file.back() == '.';
}

// Why a file that is none of the formats is what people sometimes have instead.
std::string guess(std::string_view file) {
  if (file.empty()) return "is empty";
  if (starts_with(file, "\x1f\x8b") || starts_with(file, "BZh") || starts_with(file, "\xfd" "7zXZ") || starts_with(file, "\x28\xb5\x2f\xfd"))
    return "is compressed as a whole: unpack it first";
  if (starts_with(file, "version https://git-lfs")) return "is only the pointer of a large file (Git LFS): the file itself was not fetched";
  if (starts_with(file, "<!") || starts_with(file, "<html") || starts_with(file, "<HTML")) return "is a web page: the download did not give the file";
  if (starts_with(file, "\x89HDF")) return "is an HDF5 file, which cannot be read";
  if (starts_with(file, "PK\x07\x08")) return "is a ZIP archive in several parts, which cannot be read";
  return "is no checkpoint of a known format (PyTorch, pickle, numpy, ONNX, OpenVINO, TFLite, safetensors), or is truncated";
}

// Throws naming what the file seems to be if that is none of the formats.
Format format_of(const std::string& path, const Bytes& file) {
  const Memory memory = file.load();
  const std::string_view text = memory.view();
  if (looks_like_zip(text)) {
    const std::vector<ZipMember> members = read_zip(path, file);
    if (is_pytorch_zip(members)) return Format::pytorch_zip;
    for (const ZipMember& m : members)
      if (m.name.size() > 4 && m.name.substr(m.name.size() - 4) == ".npy") return Format::npz;
    if (has_openvino(members)) return Format::openvino;
    fail(Errc::format, path, "is a ZIP archive without a PyTorch checkpoint, numpy arrays or OpenVINO models");
  }
  if (starts_with(text, "\x93NUMPY")) return Format::npy;
  if (is_pytorch_legacy(text)) return Format::pytorch_legacy;
  if (is_tar(text))
    fail(Errc::unsupported, path, "is a tar archive, as PyTorch before 0.1.10 wrote them: load it with an old PyTorch and save it again");
  if (looks_like_openvino(text)) return Format::openvino;
  if (looks_like_tflite(text)) return Format::tflite;
  if (is_safetensors(text)) return Format::safetensors;
  if (is_pickle(text)) return Format::pickle;
  if (looks_like_onnx(text)) return Format::onnx;
  fail(Errc::format, path, guess(text));
}

void read_content(Checkpoint& c, ReadContext& context, const Bytes& file) {
  switch (c.format) {
    case Format::pytorch_zip: c.root = read_pytorch_zip(context, read_zip(c.path, file)); break;
    case Format::pytorch_legacy: c.root = read_pytorch_legacy(context, file); break;
    case Format::pickle: c.root = read_plain_pickle(context, file); break;
    case Format::npy: read_npy(c, context, file, "data"); break;
    case Format::npz: read_npz(c, context, read_zip(c.path, file)); break;
    case Format::onnx: read_onnx(c, context, file); break;
    case Format::safetensors: read_safetensors(c, context, file); break;
    case Format::openvino: read_openvino(c, context, file); break;
    case Format::tflite: read_tflite(c, context, file); break;
  }
  if (c.root) list_tensors(c, context);
}

// Views may repeat numbers (strides of 0), which costs no bytes in the file.
void check_sizes(const Checkpoint& c, std::uint64_t file_bytes) {
  for (const SourceTensor& t : c.tensors) {
    if (t.bytes() > file_bytes + allowance) {
      fail(Errc::format, c.path, "tensor ", printable(t.name), " ", describe(t.type, t.shape), " is larger than a file of ", file_bytes,
           " bytes can hold");
    }
    check_bounds(t);
  }
}

void note_unknown(Checkpoint& c, const ReadContext& context) {
  if (!context.foreign.empty()) {
    std::string names;
    for (std::size_t i = 0; i < context.foreign.size() && i < 3; ++i) names += str(i ? ", " : "", context.foreign[i]);
    const std::size_t more = context.foreign.size() - std::min<std::size_t>(context.foreign.size(), 3);
    c.notes.push_back(
        str("has objects of unknown classes (", names, more ? str(" and ", more, " more") : "", "): they stay data, and nothing was run"));
  }
  for (const auto& [name, what] : c.unread) c.notes.push_back(str(printable(name), " is ", what, ": it is left out"));
}

}  // namespace

const char* to_string(Format format) {
  switch (format) {
    case Format::pytorch_zip: return "PyTorch zip archive";
    case Format::pytorch_legacy: return "PyTorch legacy file";
    case Format::pickle: return "pickle";
    case Format::npy: return "numpy array";
    case Format::npz: return "numpy archive";
    case Format::onnx: return "ONNX";
    case Format::safetensors: return "safetensors";
    case Format::openvino: return "OpenVINO";
    case Format::tflite: return "TFLite";
  }
  return "?";
}

const SourceTensor* Checkpoint::find(const std::string& name) const {
  const auto found = index.find(name);
  return found == index.end() ? nullptr : &tensors[found->second];
}

std::shared_ptr<const Checkpoint> read_checkpoint(const std::string& path, const Bytes& file, Format format, const Bytes& beside) {
  auto c = std::make_shared<Checkpoint>();
  c->path = path;
  c->file = file;
  c->beside = beside;
  c->format = format;
  ReadContext context(path, file.size + beside.size);
  c->arena = context.arena;
  try {
    read_content(*c, context, file);
    check_sizes(*c, file.size + beside.size);
    note_unknown(*c, context);
  } catch (const Error& e) {
    if (e.op() == path) throw;
    throw Error(e.code(), path, e.what());
  }
  for (std::size_t i = 0; i < c->tensors.size(); ++i) c->index.emplace(c->tensors[i].name, i);
  return c;
}

std::shared_ptr<const Checkpoint> open_checkpoint(const std::string& path) {
  const Bytes file = map_file(path);
  const Format format = format_of(path, file);
  if (format != Format::openvino || looks_like_zip(file.load().view())) return read_checkpoint(path, file, format);
  const std::string weights = std::filesystem::path(path).replace_extension(".bin").string();
  return read_checkpoint(path, file, format, std::filesystem::exists(weights) ? map_file(weights) : Bytes{});
}

}  // namespace g2s::convert
