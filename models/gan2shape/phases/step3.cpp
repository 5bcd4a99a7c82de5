// Step 3 as a phase: shape, colours, views and lights, from the input and batches of the samples.
#include <numeric>

#include "models/gan2shape/phases/phase.h"

namespace g2s {
namespace {

// One image of a batch, in place.
Tensor image_of(const Tensor& batch, std::int64_t i) {
  Shape shape = batch.shape();
  shape[0] = 1;
  const auto begin = static_cast<std::size_t>(static_cast<const char*>(batch.raw()) - static_cast<const char*>(batch.storage()->data()));
  return Tensor::wrap(batch.storage(), shape, batch.dtype(), begin + static_cast<std::size_t>(i) * (batch.bytes() / static_cast<std::size_t>(batch.dim(0))));
}

class Step3Phase final : public TrainingPhase {
 public:
  explicit Step3Phase(const FitParts& fit) : TrainingPhase(fit), step_(method_, state_.target, config_.flip_in_step3(state_.stage)) {
    const std::int64_t b = config_.batch_of_step3(), s = config_.size;
    images_ = Tensor::empty({b, s, s, 3});
    masks_ = Tensor::empty({b, s, s, 1});
    train(step_.parameters(), adam_options(config_));
  }

 private:
  // The index advances before use, so the very first batch is skipped; where the samples run out it starts again in a new order. So a batch may be
  // as large as all the samples, and Config::validate sees to it that it is not larger.
  void choose() override {
    Samples& all = state_.samples;
    const std::int64_t collected = config_.batch, b = config_.batch_of_step3(), count = collected * static_cast<std::int64_t>(all.images.size());
    if (all.order.empty()) {
      all.order.resize(static_cast<std::size_t>(count));
      std::iota(all.order.begin(), all.order.end(), 0);
    }
    all.index += b;
    if (all.index + b >= count) {
      all.index = 0;
      const auto shuffle = state_.shuffles.permutation(count);
      std::vector<std::int64_t> order(all.order.size());
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = all.order[static_cast<std::size_t>(shuffle[i])];
      all.order = std::move(order);
    }
    for (std::int64_t i = 0; i < b; ++i) {
      const std::int64_t k = all.order[static_cast<std::size_t>(all.index + i)];
      const auto batch = static_cast<std::size_t>(k / collected);
      Tensor image = image_of(images_, i), mask = image_of(masks_, i);
      copy_into(image, image_of(all.images[batch], k % collected));
      copy_into(mask, image_of(all.masks[batch], k % collected));
    }
  }

  Result compute() override {
    const Step3::PartedUpdate u = step_.update(images_, masks_, memory_plan_.step3);
    state_.snapshot.canon_mask = u.canon_mask;
    NamedTensors losses = named(u.batch);
    for (const auto& input : named(u.input, "input_")) losses.push_back(input);
    return {u.batch.total, u.gradients, losses};
  }

  Step3 step_;
  Tensor images_, masks_;  // of this iteration: where the work reads them
};

}  // namespace

std::unique_ptr<FitPhase> make_step3(const FitParts& fit) { return std::make_unique<Step3Phase>(fit); }

}  // namespace g2s
