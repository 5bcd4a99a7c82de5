// Looking for networks among a checkpoint's names.
#pragma once

#include <string>
#include <vector>

#include "weights_converter/plan.h"

namespace g2s::convert {

// The tensors of one network: those whose names begin with a prefix ("g_ema.", or "").
class Scope {
 public:
  Scope(const Checkpoint& checkpoint, std::string prefix) : checkpoint_(&checkpoint), prefix_(std::move(prefix)) {}

  const Checkpoint& checkpoint() const { return *checkpoint_; }
  const std::string& path() const { return checkpoint_->path; }
  const std::string& prefix() const { return prefix_; }

  const SourceTensor* find(const std::string& name) const { return checkpoint_->find(prefix_ + name); }
  bool has(const std::string& name) const { return find(name) != nullptr; }
  // Throws naming the file and the tensor if there is none of that name, or if it is of another rank or holds no real numbers.
  const SourceTensor& get(const std::string& name, std::size_t rank) const;
  // The prefix without its dot: g_ema.
  std::string title() const { return prefix_.substr(0, prefix_.empty() ? 0 : prefix_.size() - 1); }
  // A full name, for a message.
  std::string shown(const std::string& name) const;
  // The names of the network's tensors, without the prefix, in file order.
  std::vector<std::string> names() const;

 private:
  const Checkpoint* checkpoint_;
  std::string prefix_;
};

// Every P such that the checkpoint has a tensor P + suffix; P is empty or ends with '.'.
std::vector<std::string> prefixes_of(const Checkpoint& checkpoint, const std::string& suffix);

bool ends_with(const std::string& text, const std::string& end);

// Collects a plan's tensors, each checked for its shape.
class PlanBuilder {
 public:
  PlanBuilder(ConversionPlan& plan, const Request& request) : plan_(plan), request_(request) {}

  // `view` written as scale * x + add under `name`, with the shape that the network wants. Throws naming file and tensor when the view's
  // dimensions, not counting ones, are others. `keep_f32`: a wanted dtype leaves the tensor f32 (or as it is stored).
  void add(const std::string& path, const std::string& name, const SourceTensor& view, const Dims& shape, double scale = 1, double offset = 0,
           bool keep_f32 = false);

 private:
  ConversionPlan& plan_;
  const Request& request_;
};

}  // namespace g2s::convert
