// OpenVINO's models (IR 10 and newer): the layers and edges of an .xml, and where the numbers of its constants are in a .bin.
#include <pugixml.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

#include "engine/error.h"
#include "weights_converter/formats.h"
#include "weights_converter/numbers.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

constexpr std::uint64_t most_xml = std::uint64_t{4} << 20;  // bytes; the parser's tree takes up to 26 times as many
constexpr std::int64_t oldest_version = 10;                 // before it numbers were kept in another way

std::optional<NumberType> number_type(std::string_view name) {
  constexpr std::pair<std::string_view, NumberType> types[] = {
      {"f16", NumberType::f16}, {"bf16", NumberType::bf16}, {"f32", NumberType::f32}, {"f64", NumberType::f64}, {"i8", NumberType::i8},
      {"i16", NumberType::i16}, {"i32", NumberType::i32},   {"i64", NumberType::i64}, {"u8", NumberType::u8},   {"u16", NumberType::u16},
      {"u32", NumberType::u32}, {"u64", NumberType::u64},   {"boolean", NumberType::boolean},
  };
  for (const auto& [known, type] : types)
    if (known == name) return type;
  return std::nullopt;
}

std::string_view stem(std::string_view path) {
  path.remove_prefix(path.find_last_of("/\\") + 1);  // npos + 1 is 0
  return path.substr(0, path.rfind('.'));
}

class Reader {
 public:
  Reader(Checkpoint& checkpoint, ReadContext& context, const std::string& where, const std::string& prefix, const Bytes& weights)
      : checkpoint_(checkpoint), context_(context), where_(where), prefix_(prefix), weights_(weights) {}

  void read(const Bytes& xml, std::string_view name) {
    if (xml.size > most_xml) bad("has ", xml.size, " bytes of XML; at most ", most_xml, " are read");
    const Memory memory = xml.load();
    std::string text(memory.view());
    pugi::xml_document document;
    // A tree of what is there: the parser knows no declarations of entities, so nothing can stand for more than itself.
    const pugi::xml_parse_result parsed =
        document.load_buffer_inplace(text.data(), text.size(), pugi::parse_minimal | pugi::parse_escapes | pugi::parse_doctype, pugi::encoding_utf8);
    for (const pugi::xml_node& node : document)
      if (node.type() == pugi::node_doctype) bad("declares a document type (DOCTYPE), which no model has");
    if (!parsed) bad("is damaged or truncated XML: ", parsed.description(), " at byte ", parsed.offset);
    const pugi::xml_node net = document.child("net");
    if (!net) bad("is XML, but no OpenVINO model: its root is <", printable(document.first_child().name()), ">");
    const std::int64_t version = integer(net, "version", "the model");
    if (version < oldest_version) bad("is an OpenVINO model of version ", version, "; ", oldest_version, " and newer are read");
    model_.name = name;
    read_layers(net.child("layers"));
    read_edges(net.child("edges"));
    check_overlaps();
    checkpoint_.models.push_back(std::move(model_));
  }

 private:
  struct Extent {
    std::uint64_t begin, size;
    std::size_t layer;
  };

  template <class... Parts>
  [[noreturn]] void bad(const Parts&... what) const { fail(Errc::format, checkpoint_.path, where_, what...); }

  std::int64_t integer(const pugi::xml_node& node, const char* attribute, const std::string& owner) const {
    const std::string_view text = node.attribute(attribute).value();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0)
      bad("has no ", attribute, " of ", owner, ", or one that is no whole number: '", printable(text), "'");
    return value;
  }

  void read_layers(const pugi::xml_node& layers) {
    for (const pugi::xml_node& node : layers.children("layer")) {
      IrLayer layer;
      layer.name = node.attribute("name").value();
      layer.type = node.attribute("type").value();
      context_.arena->charge(2 * sizeof layer + layer.name.size() + layer.type.size());
      if (!is_utf8(layer.name)) bad("layer ", printable(layer.name), " has a name that is not UTF-8");
      const std::int64_t id = integer(node, "id", "layer " + printable(layer.name));
      if (!places_.emplace(id, model_.layers.size()).second) bad("has two layers of the id ", id);
      for (const pugi::xml_attribute& a : node.child("data").attributes()) {
        context_.arena->charge(160 + std::char_traits<char>::length(a.name()) + std::char_traits<char>::length(a.value()));
        layer.data.emplace(a.name(), a.value());
      }
      if (layer.type == "Const") read_constant(node.child("data"), layer);
      model_.layers.push_back(std::move(layer));
    }
    if (model_.layers.empty()) bad("is an OpenVINO model without layers");
  }

  void read_constant(const pugi::xml_node& data, IrLayer& layer) {
    const std::string what = "constant " + printable(layer.name);
    SourceTensor t;
    t.name = prefix_ + layer.name;
    const std::string_view type = data.attribute("element_type").value();
    const auto known = number_type(type);
    if (!known) fail(Errc::unsupported, checkpoint_.path, where_, what, " has the type '", printable(type), "', which is not known");
    t.type = *known;
    t.shape = shape_of(data.attribute("shape").value(), what);
    t.strides = row_major(t.shape);
    const auto offset = static_cast<std::uint64_t>(integer(data, "offset", what)), size = static_cast<std::uint64_t>(integer(data, "size", what));
    if (size != t.bytes()) bad(what, " has ", size, " bytes, but ", convert::describe(t.type, t.shape), " takes ", t.bytes());
    if (!weights_.source && size > 0) bad("has numbers in a .bin beside it, which is missing");
    if (offset > weights_.size || size > weights_.size - offset)
      bad(what, " lies at ", offset, "+", size, ", beyond the ", weights_.size, " bytes of the .bin");
    if (size > 0) t.storage = weights_.slice(offset, size);
    context_.arena->charge(2 * sizeof t + 2 * t.name.size() + 16 * t.shape.size() + 2 * sizeof(Extent));
    if (size > 0) extents_.push_back({offset, size, model_.layers.size()});
    layer.tensor = checkpoint_.tensors.size();
    checkpoint_.tensors.push_back(std::move(t));
  }

  // "1, 512"; "" is a single number.
  Dims shape_of(std::string_view text, const std::string& what) const {
    Dims shape;
    const auto all = text;
    auto skip_spaces = [&] {
      while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    };
    for (skip_spaces(); !text.empty(); skip_spaces()) {
      std::int64_t d = -1;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), d);
      if (error != std::errc() || d < 0 || shape.size() == 64) bad(what, " has a malformed shape '", printable(all), "'");
      shape.push_back(d);
      text.remove_prefix(static_cast<std::size_t>(end - text.data()));
      skip_spaces();
      if (text.empty()) break;
      if (text.front() != ',' || text.size() == 1) bad(what, " has a malformed shape '", printable(all), "'");
      text.remove_prefix(1);
    }
    return shape;
  }

  void read_edges(const pugi::xml_node& edges) {
    std::map<std::pair<std::size_t, std::int64_t>, IrLayer::Input> inputs;  // by layer and port
    for (const pugi::xml_node& edge : edges.children("edge")) {
      context_.arena->charge(128);
      const std::size_t from = place(integer(edge, "from-layer", "an edge")), to = place(integer(edge, "to-layer", "an edge"));
      const bool fresh = inputs.emplace(std::pair{to, integer(edge, "to-port", "an edge")}, IrLayer::Input{from, integer(edge, "from-port", "an edge")}).second;
      if (!fresh) bad("has two edges to the same input of layer ", printable(model_.layers[to].name));
    }
    for (const auto& [to, input] : inputs) model_.layers[to.first].inputs.push_back(input);
  }

  std::size_t place(std::int64_t id) const {
    const auto found = places_.find(id);
    if (found == places_.end()) bad("has an edge of layer ", id, ", which does not exist");
    return found->second;
  }

  // Equal constants are stored once; ranges that overlap otherwise mean a file that lies.
  void check_overlaps() {
    std::sort(extents_.begin(), extents_.end(),
              [](const Extent& a, const Extent& b) { return std::pair(a.begin, a.size) < std::pair(b.begin, b.size); });
    for (std::size_t i = 1; i < extents_.size(); ++i) {
      const Extent &a = extents_[i - 1], &b = extents_[i];
      if ((a.begin == b.begin && a.size == b.size) || b.begin >= a.begin + a.size) continue;
      bad("constants ", printable(model_.layers[a.layer].name), " and ", printable(model_.layers[b.layer].name), " overlap in the .bin");
    }
  }

  Checkpoint& checkpoint_;
  ReadContext& context_;
  const std::string where_, prefix_;
  const Bytes& weights_;
  IrModel model_;
  std::map<std::int64_t, std::size_t> places_;
  std::vector<Extent> extents_;
};

struct Pair {
  const ZipMember *xml, *weights;
};

// X.xml and X.bin of the same folder.
std::vector<Pair> pairs_of(const std::vector<ZipMember>& members) {
  std::map<std::string_view, const ZipMember*> weights;
  auto ending = [](const ZipMember& m, std::string_view end) {
    return m.name.size() > end.size() && std::string_view(m.name).substr(m.name.size() - end.size()) == end;
  };
  auto base = [](const ZipMember& m) { return std::string_view(m.name).substr(0, m.name.size() - 4); };
  for (const ZipMember& m : members)
    if (ending(m, ".bin")) weights[base(m)] = &m;
  std::vector<Pair> pairs;
  for (const ZipMember& m : members)
    if (const auto found = ending(m, ".xml") ? weights.find(base(m)) : weights.end(); found != weights.end()) pairs.push_back({&m, found->second});
  return pairs;
}

}  // namespace

bool looks_like_openvino(std::string_view start) {
  if (start.substr(0, 3) == "\xef\xbb\xbf") start.remove_prefix(3);
  while (!start.empty() && (start.front() == ' ' || start.front() == '\n' || start.front() == '\r' || start.front() == '\t')) start.remove_prefix(1);
  return start.substr(0, 5) == "<?xml" || start.substr(0, 5) == "<net ";
}

bool has_openvino(const std::vector<ZipMember>& members) { return !pairs_of(members).empty(); }

void read_openvino(Checkpoint& checkpoint, ReadContext& context, const Bytes& file) {
  if (!looks_like_zip(file.load().view())) {
    Reader(checkpoint, context, "", "", checkpoint.beside).read(file, stem(checkpoint.path));
    return;
  }
  const std::vector<ZipMember> members = read_zip(checkpoint.path, file);
  const std::vector<Pair> pairs = pairs_of(members);
  if (pairs.empty()) fail(Errc::format, checkpoint.path, "is a ZIP archive without OpenVINO models");
  for (const Pair& pair : pairs) {
    const std::string name(stem(pair.xml->name));
    Reader reader(checkpoint, context, "member " + printable(pair.xml->name) + " ", pairs.size() > 1 ? name + "." : "", pair.weights->content);
    reader.read(pair.xml->content, name);
  }
}

}  // namespace g2s::convert
