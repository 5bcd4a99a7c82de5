#include "weights_converter/scope.h"

#include "engine/error.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

Dims without_ones(const Dims& dims) {
  Dims out;
  for (std::int64_t d : dims)
    if (d != 1) out.push_back(d);
  return out;
}

}  // namespace

const SourceTensor& Scope::get(const std::string& name, std::size_t rank) const {
  const SourceTensor* tensor = find(name);
  if (!tensor) {
    const auto unread = checkpoint_->unread.find(prefix_ + name);
    if (unread != checkpoint_->unread.end()) fail(Errc::unsupported, path(), shown(name), " is ", unread->second, ", which is not read");
    fail(Errc::format, path(), shown(name), " is missing");
  }
  if (tensor->shape.size() != rank || !is_real(tensor->type))
    fail(Errc::format, path(), shown(name), " is ", describe(tensor->type, tensor->shape), ", expected real numbers in ", rank, " dimensions");
  return *tensor;
}

std::string Scope::shown(const std::string& name) const { return printable(prefix_ + name); }

std::vector<std::string> Scope::names() const {
  std::vector<std::string> out;
  for (const SourceTensor& t : checkpoint_->tensors)
    if (t.name.compare(0, prefix_.size(), prefix_) == 0) out.push_back(t.name.substr(prefix_.size()));
  return out;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

std::vector<std::string> prefixes_of(const Checkpoint& checkpoint, const std::string& suffix) {
  std::vector<std::string> out;
  for (const SourceTensor& t : checkpoint.tensors) {
    if (!ends_with(t.name, suffix)) continue;
    std::string prefix = t.name.substr(0, t.name.size() - suffix.size());
    if (prefix.empty() || prefix.back() == '.') out.push_back(std::move(prefix));
  }
  return out;
}

void PlanBuilder::add(const std::string& path, const std::string& name, const SourceTensor& view, const Dims& shape, double scale, double offset,
                      bool keep_f32) {
  if (!is_real(view.type) || without_ones(view.shape) != without_ones(shape)) {
    fail(Errc::shape_mismatch, path, printable(view.name), " is ", describe(view.type, view.shape), ", which does not make ", name, " ",
         describe(NumberType::f32, shape));
  }
  NumberType type = view.type;
  if (request_.dtype) type = keep_f32 ? NumberType::f32 : *request_.dtype;
  plan_.tensors.push_back({name, type, shape, {view}, scale, offset});
}

}  // namespace g2s::convert
