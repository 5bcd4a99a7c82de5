#include "engine/module.h"

#include <cstring>

#include "engine/parallel.h"

namespace g2s {
namespace {

// [outer, rows, columns] -> [outer, columns, rows] of elements of `size` bytes.
template <class Word>
void transpose_planes(const Word* x, Word* y, std::int64_t outer, std::int64_t rows, std::int64_t columns) {
  const std::int64_t plane = rows * columns, planes_per_piece = std::max<std::int64_t>(1, (1 << 15) / std::max<std::int64_t>(1, plane));
  parallel_blocks(outer, planes_per_piece, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o)
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < columns; ++c) y[o * plane + c * rows + r] = x[o * plane + r * columns + c];
  });
}

// The channel axis is moved from before the two spatial axes to behind them, or back.
Tensor move_channels(const Tensor& x, const Shape& shape, std::int64_t rows, std::int64_t columns) {
  Tensor y = Tensor::empty(shape, x.dtype(), Device{});
  if (x.numel() == 0) return y;
  std::int64_t outer = x.numel() / (rows * columns);
  switch (size_of(x.dtype())) {
    case 8: transpose_planes(static_cast<const std::uint64_t*>(x.raw()), static_cast<std::uint64_t*>(y.mutable_raw()), outer, rows, columns); break;
    case 4: transpose_planes(static_cast<const std::uint32_t*>(x.raw()), static_cast<std::uint32_t*>(y.mutable_raw()), outer, rows, columns); break;
    case 2: transpose_planes(static_cast<const std::uint16_t*>(x.raw()), static_cast<std::uint16_t*>(y.mutable_raw()), outer, rows, columns); break;
    default: transpose_planes(static_cast<const std::uint8_t*>(x.raw()), static_cast<std::uint8_t*>(y.mutable_raw()), outer, rows, columns); break;
  }
  return y;
}

void require_rank(const char* op, const Shape& shape, ParameterKind kind) {
  int r = shape.rank();
  check(kind == ParameterKind::plain || r == 4 || (kind == ParameterKind::conv && r == 5), op, shape, " cannot be a ",
        kind == ParameterKind::conv ? "convolution weight" : "feature map");
}

Shape our_shape(const Shape& shape, ParameterKind kind) {
  require_rank("from_checkpoint", shape, kind);
  Shape out = shape;
  if (kind == ParameterKind::plain) return out;
  out[-3] = shape[-2], out[-2] = shape[-1], out[-1] = shape[-3];
  return out;
}

// In our layout, dtype untouched, always a copy: it outlives the file's mapping.
Tensor permuted_in(const Tensor& stored, ParameterKind kind) {
  Shape shape = our_shape(stored.shape(), kind);
  if (kind == ParameterKind::plain) return stored.clone();
  return move_channels(stored, shape, stored.dim(-3), stored.dim(-2) * stored.dim(-1));
}

}  // namespace

Shape checkpoint_shape(const Shape& shape, ParameterKind kind) {
  require_rank("checkpoint_shape", shape, kind);
  Shape out = shape;
  if (kind == ParameterKind::plain) return out;
  out[-3] = shape[-1], out[-2] = shape[-3], out[-1] = shape[-2];
  return out;
}

Tensor from_checkpoint(const Tensor& stored, ParameterKind kind) { return permuted_in(stored, kind).to(DType::f32); }

Tensor to_checkpoint(const Tensor& value, ParameterKind kind) {
  Shape shape = checkpoint_shape(value.shape(), kind);
  if (kind == ParameterKind::plain) return value.clone();
  return move_channels(value, shape, value.dim(-3) * value.dim(-2), value.dim(-1));
}

Tensor& ParameterMap::add(const std::string& name, ParameterKind kind, Tensor value) {
  if (!value.defined() || !is_real(value.dtype())) fail(Errc::invalid_argument, "parameter " + name, "f32 or f64 wanted, not ", describe(value));
  require_rank(("parameter " + name).c_str(), value.shape(), kind);
  if (!index_.emplace(name, all_.size()).second) fail(Errc::invalid_argument, "parameter " + name, "was added twice");
  all_.push_back({name, kind, std::move(value)});
  return all_.back().value;
}

bool ParameterMap::contains(const std::string& name) const { return index_.count(name) > 0; }

const Tensor& ParameterMap::operator[](const std::string& name) const {
  auto found = index_.find(name);
  if (found == index_.end()) fail(Errc::invalid_argument, "parameter " + name, "does not exist");
  return all_[found->second].value;
}

std::vector<Tensor> ParameterMap::tensors() const {
  std::vector<Tensor> out;
  out.reserve(all_.size());
  for (const Parameter& p : all_) out.push_back(p.value);
  return out;
}

void ParameterMap::set_trainable(bool trainable) {
  for (Parameter& p : all_) {
    Storage& storage = *p.value.storage();
    storage.constant = !trainable;
    if (trainable) storage.constant_cache.clear();
    p.value.set_requires_grad(trainable);
  }
}

ParameterMap ParameterMap::to(Device device) const {
  ParameterMap out;
  for (const Parameter& p : all_) out.add(p.name, p.kind, p.value.device() == device ? p.value.clone() : p.value.detach().to(device));
  return out;
}

ParameterMap ParameterMap::to(DType dtype) const {
  if (!is_real(dtype)) fail(Errc::invalid_argument, "parameters", "are f32 or f64, not ", dtype);
  ParameterMap out;
  for (const Parameter& p : all_) out.add(p.name, p.kind, p.value.dtype() == dtype ? p.value.clone() : p.value.detach().to(dtype));
  return out;
}

NamedTensors ParameterMap::to_checkpoint(const std::string& prefix) const {
  NamedTensors out;
  for (const Parameter& p : all_) out.emplace_back(prefix + p.name, g2s::to_checkpoint(p.value.detach().to(Device{}), p.kind));
  return out;
}

void ParameterMap::load(const SafetensorsFile& file, const std::string& prefix) {
  for (const Parameter& p : all_) {
    const SafetensorsFile::Entry& e = file.entry(prefix + p.name);
    Shape wanted = checkpoint_shape(p.value.shape(), p.kind);
    if (e.shape != wanted) fail(Errc::format, file.path(), "tensor ", e.name, " has shape ", e.shape, ", expected ", wanted);
    if (e.dtype == DType::i32 || e.dtype == DType::u8) fail(Errc::format, file.path(), "tensor ", e.name, " is ", e.stored, ", not floating point");
  }
  std::vector<Tensor> values;
  for (const Parameter& p : all_) values.push_back(permuted_in(file.get(prefix + p.name), p.kind).to(p.value.dtype()));
  for (std::size_t i = 0; i < all_.size(); ++i) {
    Tensor& value = all_[i].value;
    if (value.is_constant()) value = values[i].to(value.device()).set_constant();
    else copy_into(value, values[i]);
  }
}

}  // namespace g2s
