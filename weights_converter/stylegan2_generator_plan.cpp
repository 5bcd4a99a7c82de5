#include <cmath>

#include "engine/error.h"
#include "weights_converter/stylegan2_layout.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

constexpr double mapping_lr = 0.01;  // the learning-rate multiplier that the program's mapping computes with

struct Shape {
  std::vector<std::int64_t> channels;  // at 4, 8, ..
  std::int64_t style = 0;
  int mapping_layers = 0;

  int levels() const { return static_cast<int>(channels.size()); }
  int size() const { return 4 << (levels() - 1); }
};

class GeneratorPlan {
 public:
  GeneratorPlan(const StyleGan2Network& network, const Request& request, ConversionPlan& plan)
      : network_(network), layout_(*network.layout), scope_(network.scope), plan_(plan), builder_(plan, request) {}

  void run() {
    check_network(network_, Role::generator);
    check_architecture();
    read_shape();
    check_form();
    mapping();
    add("input.input", input_view(), {1, shape_.channels[0], 4, 4});
    for (int i = 0; i < 2 * shape_.levels() - 1; ++i) convolution(i);
    for (int level = 0; level < shape_.levels(); ++level) to_rgb(level);
    for (int i = 0; i < 2 * shape_.levels() - 1; ++i) noise(i);
    average();
    describe_plan();
    note_unused(network_, plan_);
  }

 private:
  void check_architecture() {
    for (int level = 0; level < max_levels && scope_.has(layout_.conv(2 * level) + layout_.conv_weight); ++level) {
      if (scope_.has(layout_.rgb(level) + layout_.conv_weight)) continue;
      fail(Errc::unsupported, scope_.path(), scope_.shown(layout_.rgb(level) + layout_.conv_weight),
           " is missing: only generators with a picture at ", "every size (the 'skip' architecture, configurations E and F) are supported");
    }
  }

  void check_form() {
    const SourceTensor& start = input_view();
    const Dims& d = start.shape;
    const std::int64_t h = d.size() >= 2 ? d[d.size() - 2] : 0, w = d.size() >= 2 ? d[d.size() - 1] : 0;
    if (h != w)
      fail(Errc::unsupported, scope_.path(), printable(start.name), " is ", h, " x ", w,
           " (rows x columns): the generator's pictures are not square, which is not supported");
    if (h != 4)
      fail(Errc::unsupported, scope_.path(), printable(start.name), " is ", h, " x ", w,
           ": the generator does not start at 4 x 4 pixels, which is not supported");
    for (int level = 0; level < shape_.levels(); ++level) {
      const std::string name = layout_.rgb(level) + layout_.conv_weight;
      check_colours(network_, name, layout_.modulated_view(scope_.get(name, layout_.modulated_rank)).shape[0], Role::generator);
    }
  }

  void read_shape() {
    for (int i = 0; scope_.has(layout_.conv(i) + layout_.conv_weight); i += 2) {
      if (level_of_conv(i) == max_levels) fail(Errc::unsupported, scope_.path(), "the generator has more than ", max_levels, " sizes");
      shape_.channels.push_back(layout_.modulated_view(scope_.get(layout_.conv(i) + layout_.conv_weight, layout_.modulated_rank)).shape[0]);
    }
    if (shape_.channels.empty()) fail(Errc::format, scope_.path(), scope_.shown(layout_.conv(0) + layout_.conv_weight), " is missing");
    shape_.style = layout_.dense_view(scope_.get(layout_.conv(0) + layout_.style_weight, 2)).shape[1];
    while (scope_.has(layout_.dense(shape_.mapping_layers) + layout_.weight)) ++shape_.mapping_layers;
    if (shape_.mapping_layers == 0) fail(Errc::format, scope_.path(), scope_.shown(layout_.dense(0) + layout_.weight), " is missing");
  }

  void add(const std::string& ours, const SourceTensor& view, const Dims& shape, double scale = 1, double offset = 0) {
    builder_.add(scope_.path(), ours, view, shape, scale, offset);
  }

  const SourceTensor& input_view() {
    const SourceTensor* t = scope_.find(layout_.input);
    if (!t) fail(Errc::format, scope_.path(), scope_.shown(layout_.input), " is missing");
    return *t;
  }

  // Layers are stored divided by their learning rate's multiplier. Where it is another, the numbers change so that ours gives the same.
  double mapping_scale() const {
    std::optional<double> lr;
    if (const Value* layer = ada_module(network_, {"mapping", "fc0"})) lr = number_of(layer->get("bias_gain"));
    if (const Value* setting = network_setting(network_, "mapping_lrmul")) lr = number_of(setting);
    if (lr && !(*lr > 0 && *lr < 1e6)) fail(Errc::format, scope_.path(), "the mapping's learning rate is multiplied by ", *lr);
    return lr ? *lr / mapping_lr : 1;
  }

  void mapping() {
    const double scale = mapping_scale();
    if (scale != 1) plan_.notes.push_back(str("the mapping's layers are multiplied by ", scale, ", for the learning rate they were stored with"));
    for (int i = 0; i < shape_.mapping_layers; ++i) {
      const std::string base = layout_.dense(i), ours = rosinality_layout().dense(i);
      const SourceTensor weight = layout_.dense_view(scope_.get(base + layout_.weight, 2));
      if (weight.shape[0] != weight.shape[1] || weight.shape[0] != shape_.style)
        fail(Errc::unsupported, scope_.path(), printable(weight.name), " is ", describe(weight.type, weight.shape),
             ": the mapping's layers must all be as wide as the ", "style, ", shape_.style);
      add(ours + ".weight", weight, {shape_.style, shape_.style}, scale);
      add(ours + ".bias", scope_.get(base + layout_.bias, 1), {shape_.style}, scale);
    }
  }

  void modulated(const std::string& base, const std::string& ours, const Dims& shape, bool upsample) {
    SourceTensor weight = layout_.modulated_view(scope_.get(base + layout_.conv_weight, layout_.modulated_rank));
    if (upsample && layout_.upsampling_flipped) weight = weight.flip(2).flip(3);
    const std::int64_t in = shape[2];
    add(ours + ".conv.weight", weight, shape);
    add(ours + ".conv.modulation.weight", layout_.dense_view(scope_.get(base + layout_.style_weight, 2)), {in, shape_.style});
    add(ours + ".conv.modulation.bias", scope_.get(base + layout_.style_bias_name, 1), {in}, 1, layout_.style_bias);
  }

  void convolution(int i) {
    const int level = level_of_conv(i);
    const bool upsample = i % 2 == 1;
    const std::int64_t out = shape_.channels[static_cast<std::size_t>(level)],
                       in = shape_.channels[static_cast<std::size_t>(upsample ? level - 1 : level)];
    const std::string base = layout_.conv(i), ours = rosinality_layout().conv(i);
    modulated(base, ours, {1, out, in, 3, 3}, upsample);
    const std::string strength = base + layout_.strength;
    if (scope_.has(strength)) add(ours + ".noise.weight", *scope_.find(strength), {1});
    else if (layout_.modulated_rank == 4) add(ours + ".noise.weight", make_tensor(strength, {1}, {0}), {1});  // built without noise
    else fail(Errc::format, scope_.path(), scope_.shown(strength), " is missing");
    add(ours + ".activate.bias", scope_.get(base + layout_.conv_bias, 1), {out});
  }

  void to_rgb(int level) {
    const std::string base = layout_.rgb(level), ours = rosinality_layout().rgb(level);
    modulated(base, ours, {1, 3, shape_.channels[static_cast<std::size_t>(level)], 1, 1}, false);
    const SourceTensor* bias = scope_.find(base + layout_.rgb_bias);
    if (!bias) fail(Errc::format, scope_.path(), scope_.shown(base + layout_.rgb_bias), " is missing");
    add(ours + ".bias", *bias, {1, 3, 1, 1});
  }

  void noise(int i) {
    const std::int64_t side = std::int64_t{4} << level_of_conv(i);
    const std::string name = layout_.noise(i), ours = rosinality_layout().noise(i);
    if (const SourceTensor* map = scope_.find(name)) {
      add(ours, *map, {1, 1, side, side});
      return;
    }
    if (i == 0) plan_.notes.push_back("the file has no noise maps: zeros are written, so pictures have no noise");
    if (i > 0 && scope_.has(layout_.noise(0))) fail(Errc::format, scope_.path(), scope_.shown(name), " is missing");
    const std::vector<float> zeros(static_cast<std::size_t>(side * side));
    add(ours, make_tensor(name, {1, 1, side, side}, zeros), {1, 1, side, side});
  }

  // Beside the network's tensors, or, where a file has several networks, at its top: then it belongs to the moving average.
  void average() {
    const SourceTensor* w = scope_.find(layout_.average);
    const std::string& prefix = scope_.prefix();
    if (!w && (prefix.empty() || ends_with(prefix, "g_ema."))) w = scope_.checkpoint().find(layout_.average);
    if (!w) return;
    add("latent_avg", *w, {shape_.style});
    has_average_ = true;
  }

  void describe_plan() {
    plan_.kind = "stylegan2-generator";
    plan_.description = str("StyleGAN2 generator, ", shape_.size(), "x", shape_.size(), ", channels ", joined(shape_.channels), ", ",
                            shape_.mapping_layers, " mapping layers, W mean ", has_average_ ? "present" : "absent");
    plan_.metadata["layout"] = layout_.title;
    plan_.metadata["size"] = str(shape_.size());
    plan_.metadata["channels"] = joined(shape_.channels);
    if (const std::string m = channel_multiplier(shape_.channels); !m.empty()) plan_.metadata["channel_multiplier"] = m;
    plan_.metadata["style_width"] = str(shape_.style);
    plan_.metadata["mapping_layers"] = str(shape_.mapping_layers);
  }

  const StyleGan2Network& network_;
  const StyleGan2Layout& layout_;
  const Scope& scope_;
  ConversionPlan& plan_;
  PlanBuilder builder_;
  Shape shape_;
  bool has_average_ = false;
};

}  // namespace

ConversionPlan plan_generator(const Checkpoint& checkpoint, const Request& request) {
  const std::vector<StyleGan2Network> found = find_generators(checkpoint);
  if (found.empty()) fail(Errc::format, checkpoint.path, "has no StyleGAN2 generator in a layout that is known");
  const StyleGan2Network& network = choose_network(found, request, "generator");
  ConversionPlan plan;
  GeneratorPlan(network, request, plan).run();
  if (found.size() > 1) plan.notes.push_back(str("the file has ", found.size(), " generators: this is ", printable(network.scope.title())));
  return plan;
}

}  // namespace g2s::convert
