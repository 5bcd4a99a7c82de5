#include "engine/tensor.h"

#include <algorithm>
#include <cstring>

#include "engine/accelerator.h"
#include "engine/allocator.h"
#include "engine/autograd.h"
#include "engine/parallel.h"

namespace g2s {
namespace {

constexpr std::int64_t copy_block = 1 << 16;

void require_cpu(const Tensor& t, const char* what) {
  if (t.device().type != DeviceType::cpu) [[unlikely]] fail(Errc::invalid_argument, "tensor", what, ", but it is on ", t.device(), ": ", describe(t));
}

// Calls f with a value of the C++ type of `dtype`.
template <class F>
void visit_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32: return f(float{});
    case DType::f64: return f(double{});
    case DType::bf16: return f(bf16{});
    case DType::f16: return f(f16{});
    case DType::i32: return f(std::int32_t{});
    case DType::u8: return f(std::uint8_t{});
  }
}

double widen(float v) { return v; }
double widen(double v) { return v; }
double widen(bf16 v) { return to_float(v); }
double widen(f16 v) { return to_float(v); }
double widen(std::int32_t v) { return v; }
double widen(std::uint8_t v) { return v; }

template <class T>
T narrow(double v) {
  if constexpr (std::is_same_v<T, bf16>) return to_bf16(static_cast<float>(v));
  else if constexpr (std::is_same_v<T, f16>) return to_f16(static_cast<float>(v));
  else return static_cast<T>(v);
}

}  // namespace

Storage::Storage(std::size_t bytes, Device device) : data_(allocator(device).allocate(bytes)), bytes_(bytes), device_(device) {}

Storage::Storage(void* data, std::size_t bytes, Device device, std::shared_ptr<const void> owner)
    : data_(data), bytes_(bytes), device_(device), owner_(std::move(owner)) {}

Storage::~Storage() {
  if (!owner_) allocator(device_).release(data_, bytes_);
}

Tensor Tensor::wrap(std::shared_ptr<Storage> storage, const Shape& shape, DType dtype, std::size_t byte_offset) {
  Tensor t;
  t.impl_ = std::make_shared<Impl>();
  t.impl_->storage = std::move(storage);
  t.impl_->offset = byte_offset;
  t.impl_->shape = shape;
  t.impl_->dtype = dtype;
  return t;
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::size_t>(shape.numel()), size_of(dtype), &bytes))
    fail(Errc::out_of_memory, "tensor", dtype, " ", shape, " overflows memory");
  return wrap(std::make_shared<Storage>(bytes, device), shape, dtype);
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  const std::uint8_t zero = 0;
  if (t.bytes() == 0) return t;
  if (t.on_cuda()) accelerator(device, "zeros").fill(t.mutable_raw(), static_cast<std::int64_t>(t.bytes()), 1, &zero);
  else std::memset(t.mutable_raw(), zero, t.bytes());
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  visit_dtype(dtype, [&](auto zero) {
    using T = decltype(zero);
    const T element = narrow<T>(value);
    if (!t.on_cuda()) std::fill_n(t.mutable_data<T>(), t.numel(), element);
    else if (t.numel() > 0) accelerator(device, "full").fill(t.mutable_raw(), t.numel(), sizeof element, &element);
  });
  return t;
}

void* Tensor::mutable_raw() {
  if (is_constant()) fail(Errc::invalid_argument, "tensor", "a constant tensor ", describe(*this), " was to be written");
  return static_cast<char*>(impl().storage->data()) + impl().offset;
}

const void* Tensor::checked_ptr(DType wanted) const {
  if (dtype() != wanted) [[unlikely]] fail(Errc::shape_mismatch, "tensor", "read as ", wanted, ", but it is ", describe(*this));
  return raw();
}

void* Tensor::checked_mutable_ptr(DType wanted) {
  if (dtype() != wanted) [[unlikely]] fail(Errc::shape_mismatch, "tensor", "written as ", wanted, ", but it is ", describe(*this));
  return mutable_raw();
}

const void* Tensor::checked_data(DType wanted) const {
  require_cpu(*this, "read on the CPU");
  return checked_ptr(wanted);
}

void* Tensor::checked_mutable_data(DType wanted) {
  require_cpu(*this, "written on the CPU");
  return checked_mutable_ptr(wanted);
}

double Tensor::item() const {
  check(numel() == 1, "item", "needs one element, got ", describe(*this));
  const Tensor host = detach().to(Device{});
  double value = 0;
  visit_dtype(dtype(), [&](auto zero) { value = widen(*host.data<decltype(zero)>()); });
  return value;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape(), dtype(), device());
  copy_into(t, *this);
  return t;
}

Tensor Tensor::detach() const {
  Tensor t;
  t.impl_ = std::make_shared<Impl>(impl());
  t.impl_->requires_grad = false;
  t.impl_->node = nullptr;
  return t;
}

Tensor Tensor::reshape(const Shape& wanted) const {
  Shape shape = wanted;
  std::int64_t known = 1;
  int unknown = -1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != infer) {
      known *= shape[i];
      continue;
    }
    check(unknown < 0, "reshape", "only one dimension can be inferred");
    unknown = i;
  }
  if (unknown >= 0) {
    check(known > 0 && numel() % known == 0, "reshape", describe(*this), " does not divide into the wanted shape");
    shape[unknown] = numel() / known;
  }
  check(shape.numel() == numel(), "reshape", describe(*this), " to ", shape);
  Tensor t = detach();
  t.impl_->shape = shape;
  return record(t, "reshape", {*this}, [from = this->shape()](const BackwardArgs& a) { return std::vector<Tensor>{a.dy.reshape(from)}; });
}

Tensor Tensor::to(DType target) const {
  if (target == dtype()) return *this;
  Tensor out = empty(shape(), target, device());
  if (on_cuda()) accelerator(device(), "to").convert(out.mutable_raw(), target, raw(), dtype(), numel());
  else visit_dtype(dtype(), [&](auto a) {
    visit_dtype(target, [&](auto b) {
      using A = decltype(a);
      using B = decltype(b);
      const A* x = data<A>();
      B* y = out.mutable_data<B>();
      parallel_blocks(numel(), copy_block, [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          // Through double every conversion is exact or rounded once, except that f64 to a 16-bit type passes through f32.
          y[i] = narrow<B>(widen(x[i]));
        }
      });
    });
  });
  if (!is_real(target) || !is_real(dtype())) return out;
  return record(out, "to", {*this}, [from = dtype()](const BackwardArgs& a) { return std::vector<Tensor>{a.dy.to(from)}; });
}

Tensor Tensor::to(Device target) const {
  if (target == device()) return *this;
  Tensor out = empty(shape(), dtype(), target);
  copy_into(out, *this);
  return record(out, "to", {*this}, [from = device()](const BackwardArgs& a) { return std::vector<Tensor>{a.dy.to(from)}; });
}

bool Tensor::requires_grad() const { return impl().requires_grad || impl().node != nullptr; }

Tensor& Tensor::set_requires_grad(bool on) {
  if (impl().node) fail(Errc::invalid_argument, "set_requires_grad", "only a leaf can be told to require gradients; detach() first");
  if (on && !is_real(dtype())) fail(Errc::invalid_argument, "set_requires_grad", "gradients exist for f32 and f64 only, not ", dtype());
  impl_->requires_grad = on;
  return *this;
}

Tensor& Tensor::set_constant() {
  impl();
  impl_->storage->constant = true;
  return *this;
}

std::string describe(const Tensor& t) {
  if (!t.defined()) return "undefined";
  return str(t.dtype(), " ", t.shape());
}

void copy_into(Tensor& target, const Tensor& value) {
  check(target.shape() == value.shape() && target.dtype() == value.dtype(), "copy", describe(value), " into ", describe(target));
  if (target.bytes() == 0) return;
  if (target.on_cuda() || value.on_cuda()) {
    const CopyKind kind = !target.on_cuda() ? CopyKind::device_to_host : value.on_cuda() ? CopyKind::device_to_device : CopyKind::host_to_device;
    accelerator(target.on_cuda() ? target.device() : value.device(), "copy").copy(target.mutable_raw(), value.raw(), target.bytes(), kind);
    return;
  }
  const char* from = static_cast<const char*>(value.raw());
  char* to = static_cast<char*>(target.mutable_raw());
  parallel_blocks(static_cast<std::int64_t>(value.bytes()), copy_block * 4,
                  [=](std::int64_t begin, std::int64_t end) { std::memcpy(to + begin, from + begin, static_cast<std::size_t>(end - begin)); });
}

}  // namespace g2s
