#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "weights_converter/stylegan2_layout.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

constexpr int largest_size = 4 << (max_levels - 1);

class DiscriminatorPlan {
 public:
  DiscriminatorPlan(const StyleGan2Network& network, const Request& request, ConversionPlan& plan)
      : network_(network), layout_(*network.layout), scope_(network.scope), plan_(plan), builder_(plan, request) {}

  void run() {
    check_network(network_, Role::discriminator);
    read_shape();
    check_form();
    note_groups();
    convolution(layout_.from_rgb(size_) + layout_.rgb_conv, "convs.0.0.weight", {widths_[0], 3, 1, 1});
    bias(layout_.from_rgb(size_) + layout_.rgb_conv_bias, "convs.0.1.bias", widths_[0]);
    for (int i = 1; i < static_cast<int>(widths_.size()); ++i) block(i);
    convolution(layout_.final_conv, "final_conv.0.weight", {final_width_, widths_.back() + 1, 3, 3});
    bias(layout_.final_bias, "final_conv.1.bias", final_width_);
    linear(layout_.linear0, "final_linear.0.weight", {final_width_, final_width_ * 16});
    bias(layout_.linear0_bias, "final_linear.0.bias", final_width_);
    linear(layout_.linear1, "final_linear.1.weight", {1, final_width_});
    bias(layout_.linear1_bias, "final_linear.1.bias", 1);
    describe_plan();
    note_unused(network_, plan_);
  }

 private:
  SourceTensor conv_view(const std::string& name) const { return layout_.conv_view(scope_.get(name, 4)); }

  void read_shape() {
    int blocks = 0;
    if (&layout_ == &rosinality_layout()) {
      while (blocks < max_levels && scope_.has(layout_.block(blocks + 1, 0) + layout_.conv1)) ++blocks;
      if (blocks == max_levels) fail(Errc::unsupported, scope_.path(), "the discriminator has more than ", max_levels - 1, " blocks");
      size_ = 4 << blocks;
    } else {
      for (int side = 8; side <= largest_size; side *= 2)
        if (scope_.has(layout_.block(1, side) + layout_.conv1)) size_ = side, ++blocks;
    }
    if (blocks == 0) fail(Errc::format, scope_.path(), "the discriminator has no residual blocks");
    if (4 << blocks != size_) fail(Errc::format, scope_.path(), "the discriminator lacks a block between 8 and ", size_, " pixels");
    widths_ = {conv_view(layout_.from_rgb(size_) + layout_.rgb_conv).shape[0]};
    for (int i = 1; i <= blocks; ++i) {
      if (!scope_.has(layout_.block(i, size_) + layout_.skip))
        fail(Errc::unsupported, scope_.path(), scope_.shown(layout_.block(i, size_) + layout_.skip),
             " is missing: only residual discriminators are supported");
      widths_.push_back(conv_view(layout_.block(i, size_) + layout_.conv1).shape[0]);
    }
    final_width_ = conv_view(layout_.final_conv).shape[0];
  }

  void check_form() {
    const std::string rgb = layout_.from_rgb(size_) + layout_.rgb_conv;
    check_colours(network_, rgb, conv_view(rgb).shape[1], Role::discriminator);
    const std::int64_t extra = conv_view(layout_.final_conv).shape[1] - widths_.back();
    if (extra != 1)
      fail(Errc::unsupported, scope_.path(), scope_.shown(layout_.final_conv), ": the discriminator has ", extra,
           " channels of minibatch deviation, only 1 is supported");
    const SourceTensor logits = layout_.dense_view(scope_.get(layout_.linear1, 2));
    if (logits.shape[0] != 1)
      fail(Errc::unsupported, scope_.path(), printable(logits.name), ": the discriminator gives ", logits.shape[0],
           " numbers (for classes), only 1 is supported");
    const SourceTensor dense = layout_.dense_view(scope_.get(layout_.linear0, 2));
    if (dense.shape[1] != final_width_ * 16)
      fail(Errc::unsupported, scope_.path(), printable(dense.name),
           ": the discriminator does not end at 4 x 4 pixels, as those of pictures that are not square, which is not supported");
  }

  // Only the logits depend on it, and only of batches larger than the groups.
  void note_groups() {
    std::optional<double> group = number_of(network_setting(network_, "mbstd_group_size"));
    if (const Value* layer = ada_module(network_, {"b4", "mbstd"})) group = number_of(layer->get("group_size"));
    if (group && *group != 4)
      plan_.notes.push_back(str("the minibatch deviation was taken over groups of ", *group,
                                ", here it is over 4: logits of batches differ, features do not"));
  }

  void convolution(const std::string& theirs, const std::string& ours, const Dims& shape) {
    builder_.add(scope_.path(), ours, conv_view(theirs), shape);
  }
  void linear(const std::string& theirs, const std::string& ours, const Dims& shape) {
    builder_.add(scope_.path(), ours, layout_.dense_view(scope_.get(theirs, 2)), shape);
  }
  void bias(const std::string& theirs, const std::string& ours, std::int64_t width) {
    builder_.add(scope_.path(), ours, scope_.get(theirs, 1), {width});
  }

  void block(int i) {
    const std::string base = layout_.block(i, size_), ours = rosinality_layout().block(i, size_);
    const StyleGan2Layout& names = rosinality_layout();
    const std::int64_t in = widths_[static_cast<std::size_t>(i - 1)], out = widths_[static_cast<std::size_t>(i)];
    convolution(base + layout_.conv0, ours + names.conv0, {in, in, 3, 3});
    bias(base + layout_.bias0, ours + names.bias0, in);
    convolution(base + layout_.conv1, ours + names.conv1, {out, in, 3, 3});
    bias(base + layout_.bias1, ours + names.bias1, out);
    convolution(base + layout_.skip, ours + names.skip, {out, in, 1, 1});
  }

  void describe_plan() {
    std::vector<std::int64_t> upwards(widths_.rbegin(), widths_.rend());
    plan_.kind = "stylegan2-discriminator";
    plan_.description = str("StyleGAN2 discriminator, ", size_, "x", size_, ", channels ", joined(upwards));
    plan_.metadata["layout"] = layout_.title;
    plan_.metadata["size"] = str(size_);
    plan_.metadata["channels"] = joined(upwards);
    if (const std::string m = channel_multiplier(upwards); !m.empty()) plan_.metadata["channel_multiplier"] = m;
  }

  const StyleGan2Network& network_;
  const StyleGan2Layout& layout_;
  const Scope& scope_;
  ConversionPlan& plan_;
  PlanBuilder builder_;
  int size_ = 0;
  std::vector<std::int64_t> widths_;  // at size .. 4
  std::int64_t final_width_ = 0;
};

}  // namespace

ConversionPlan plan_discriminator(const Checkpoint& checkpoint, const Request& request) {
  const std::vector<StyleGan2Network> found = find_discriminators(checkpoint);
  if (found.empty()) fail(Errc::format, checkpoint.path, "has no StyleGAN2 discriminator in a layout that is known");
  const StyleGan2Network& network = choose_network(found, request, "discriminator");
  ConversionPlan plan;
  DiscriminatorPlan(network, request, plan).run();
  return plan;
}

}  // namespace g2s::convert
