#include <charconv>

#include "engine/error.h"
#include "weights_converter/mobilestylegan_graph.h"
#include "weights_converter/network_plans.h"
#include "weights_converter/scope.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

constexpr std::int64_t bands = 4;             // of Haar's wavelet
constexpr const char* first_kernel = "layers.0.conv1.conv.weight_dw";
constexpr const char* dense_kernel = "conv1.conv.weight";
constexpr int most_blocks = 16;

bool is_ours(const Checkpoint& c) { return c.find(first_kernel) && c.find("mapping.0.weight"); }

// The block whose `to_img` a checkpoint has.
std::optional<int> pictured_block(const Checkpoint& c) {
  for (int i = 0; i < most_blocks; ++i)
    if (c.find(str("layers.", i, ".to_img.conv.weight"))) return i;
  return std::nullopt;
}

// A block with a `to_img` of its own and nothing before it.
bool is_head(const Checkpoint& c) { return pictured_block(c) && !c.find(dense_kernel); }

// Where each tensor comes from, by our names.
class Parts {
 public:
  void add(const std::string& path, const SourceTensor& tensor) {
    if (!sources_.emplace(tensor.name, Source{path, tensor}).second)
      fail(Errc::invalid_argument, path, "tensor ", printable(tensor.name), " is in another input too");
  }
  void drop(const std::string& prefix) {
    std::erase_if(sources_, [&](const auto& entry) { return entry.first.compare(0, prefix.size(), prefix) == 0; });
  }
  bool has(const std::string& name) const { return sources_.count(name) != 0; }

  struct Source {
    std::string path;
    SourceTensor tensor;
  };
  const Source& get(const std::string& path, const std::string& name) const {
    const auto found = sources_.find(name);
    if (found == sources_.end()) fail(Errc::format, path, "MobileStyleGAN's ", name, " is missing");
    return found->second;
  }

 private:
  std::map<std::string, Source> sources_;
};

struct Channels {
  std::int64_t in, out;
};

class Planner {
 public:
  Planner(const Parts& parts, const std::string& path, ConversionPlan& plan, const Request& request)
      : parts_(parts), path_(path), builder_(plan, request) {}

  void plan() {
    layers_ = count([](int i) { return str("mapping.", i, ".weight"); });
    blocks_ = count([](int i) { return str("layers.", i, ".conv1.conv.weight_dw"); });
    if (layers_ == 0) fail(Errc::format, path_, "has MobileStyleGAN's synthesis, but not its mapping: give both models, or the archive that has them");
    style_ = dim("mapping.0.weight", 0, 2);
    for (int i = 0; i < layers_; ++i) {
      add(str("mapping.", i, ".weight"), {style_, style_});
      add(str("mapping.", i, ".bias"), {style_}, true);
    }
    const std::int64_t first = dim(dense_kernel, 0, 4);
    add("input.input", {1, first, 4, 4});
    add(dense_kernel, {first, first, 3, 3});
    add_styled("conv1", {first, first}, 4);
    std::int64_t in = first;
    for (int i = 0; i < blocks_; ++i) in = add_block(str("layers.", i, "."), in, std::int64_t{8} << i);
    const std::string last = str("layers.", blocks_ - 1, ".to_img.");
    add(last + "conv.weight", {3 * bands, in, 1, 1});
    add(last + "bias", {3 * bands}, true);
    add_style(last + "conv", in, true);
  }

  std::int64_t size() const { return std::int64_t{8} << blocks_; }
  std::int64_t style() const { return style_; }
  int layers() const { return layers_; }
  int blocks() const { return blocks_; }
  const std::string& channels() const { return channels_; }

 private:
  template <class Name>
  int count(Name&& name) const {
    int n = 0;
    while (n < most_blocks && parts_.has(name(n))) ++n;
    return n;
  }

  std::int64_t dim(const std::string& name, std::size_t axis, std::size_t rank) const {
    const Parts::Source& source = parts_.get(path_, name);
    if (source.tensor.shape.size() != rank)
      fail(Errc::format, source.path, printable(name), " is ", describe(source.tensor.type, source.tensor.shape), ", expected ", rank, " dimensions");
    return source.tensor.shape[axis];
  }

  void add(const std::string& name, const Dims& shape, bool keep_f32 = false) {
    const Parts::Source& source = parts_.get(path_, name);
    builder_.add(source.path, name, source.tensor, shape, 1, 0, keep_f32);
  }

  void add_style(const std::string& name, std::int64_t channels, bool scaled) {
    if (scaled) add(name + ".scale", {}, true);
    add(name + ".modulation.weight", {channels, style_});
    add(name + ".modulation.bias", {channels}, true);
  }

  void add_styled(const std::string& name, const Channels& channels, std::int64_t side) {
    add_style(name + ".conv", channels.in, true);
    add(name + ".noise", {1, 1, side, side});
    add(name + ".bias", {channels.out}, true);
  }

  std::int64_t add_block(const std::string& name, std::int64_t in, std::int64_t side) {
    const std::int64_t out = dim(name + "conv2.conv.weight_dw", 0, 4);
    channels_ += str(channels_.empty() ? "" : " ", out);
    add_style(name + "up", in, false);
    for (const auto& [conv, channels] : {std::pair<const char*, Channels>{"conv1", {in / bands, out}}, {"conv2", {out, out}}}) {
      add(name + conv + ".conv.weight_dw", {channels.in, 1, 3, 3});
      add(name + conv + ".conv.weight_permute", {channels.out, channels.in, 1, 1});
      add_styled(name + conv, channels, side);
    }
    return out;
  }

  const Parts& parts_;
  const std::string& path_;
  PlanBuilder builder_;
  int layers_ = 0, blocks_ = 0;
  std::int64_t style_ = 0;
  std::string channels_;
};

// The head's block takes the place of the generator's; what came after it is no longer needed.
void cut(Parts& parts, const Checkpoint& head) {
  const int block = *pictured_block(head);
  if (!parts.has(str("layers.", block, ".conv1.conv.weight_dw")))
    fail(Errc::invalid_argument, head.path, "is a head for block ", block, ", which the generator does not have");
  for (int i = block; i < most_blocks; ++i) parts.drop(str("layers.", i, "."));
  for (const SourceTensor& t : head.tensors) parts.add(head.path, t);
}

}  // namespace

bool is_mobilestylegan(const Inputs& inputs) {
  bool generator = false, others = false;
  for (const auto& input : inputs) {
    generator = generator || has_mobilestylegan(*input) || is_ours(*input);
    others = others || (!has_mobilestylegan(*input) && !is_ours(*input) && !is_head(*input) && input->format != Format::openvino);
  }
  return generator && !others;
}

ConversionPlan plan_mobilestylegan(const Inputs& inputs, const Request& request) {
  Parts parts;
  const Checkpoint* head = nullptr;
  const std::string* path = nullptr;
  for (const auto& input : inputs) {
    if (input->format == Format::openvino) {
      for (const SourceTensor& t : mobilestylegan_tensors(*input)) parts.add(input->path, t);
    } else if (is_head(*input)) {
      if (head) fail(Errc::invalid_argument, input->path, "is a second head");
      head = input.get();
      continue;
    } else {
      for (const SourceTensor& t : input->tensors) parts.add(input->path, t);
    }
    if (!path || has_mobilestylegan(*input)) path = &input->path;
  }
  if (!path) fail(Errc::invalid_argument, inputs[0]->path, "is a head for MobileStyleGAN, without the generator that it belongs to");
  if (head) cut(parts, *head);
  ConversionPlan plan;
  plan.kind = "mobilestylegan";
  Planner planner(parts, *path, plan, request);
  planner.plan();
  plan.description = str("MobileStyleGAN generator, ", planner.size(), "x", planner.size(), ", channels ", planner.channels(), ", ", planner.layers(),
                         " mapping layers", head ? ", cut and with a head of its own" : "");
  plan.metadata["size"] = str(planner.size());
  plan.metadata["style_width"] = str(planner.style());
  plan.metadata["mapping_layers"] = str(planner.layers());
  plan.metadata["blocks"] = str(planner.blocks());
  return plan;
}

}  // namespace g2s::convert
