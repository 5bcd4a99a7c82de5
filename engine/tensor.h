// Tensor: a contiguous row-major array on a device, with its place in the autograd graph. Images are NHWC, convolution weights OHWI.
#pragma once

#include <algorithm>
#include <any>
#include <memory>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/export.h"
#include "engine/types.h"

namespace g2s G2S_EXPORTED {

struct Node;

// A block of memory, shared by a tensor and its reshapes.
class Storage {
 public:
  Storage(std::size_t bytes, Device device);
  // Memory owned by somebody else (a memory-mapped file); `owner` keeps it alive.
  Storage(void* data, std::size_t bytes, Device device, std::shared_ptr<const void> owner);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

  // Something computed from the content of a constant tensor (packed weights), dropped with it. See Tensor::set_constant.
  bool constant = false;
  std::vector<std::pair<std::string, std::any>> constant_cache;

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  Device device_;
  std::shared_ptr<const void> owner_;
};

// Value semantics of a handle: copies share the data. Operators never write to their inputs.
class Tensor {
 public:
  Tensor() = default;  // undefined

  static Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = default_device());
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = default_device());
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32, Device device = default_device());
  static Tensor scalar(double value, DType dtype = DType::f32, Device device = default_device()) { return full({}, value, dtype, device); }
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape, Device device = default_device());
  template <class T>
  static Tensor from(const std::vector<T>& values) { return from(values, Shape{static_cast<std::int64_t>(values.size())}); }
  static Tensor wrap(std::shared_ptr<Storage> storage, const Shape& shape, DType dtype, std::size_t byte_offset = 0);

  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Shape& shape() const { return impl().shape; }
  std::int64_t dim(int axis) const { return impl().shape[axis]; }
  int rank() const { return impl().shape.rank(); }
  std::int64_t numel() const { return impl().shape.numel(); }
  DType dtype() const { return impl().dtype; }
  Device device() const { return impl().storage->device(); }
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype()); }

  // The elements, on the CPU. Throws when T is not the dtype, or (mutable) when the tensor is constant.
  template <class T>
  const T* data() const { return static_cast<const T*>(checked_data(dtype_of<T>::value)); }
  template <class T>
  T* mutable_data() { return static_cast<T*>(checked_mutable_data(dtype_of<T>::value)); }
  // The elements wherever they are, for kernels.
  template <class T>
  const T* ptr() const { return static_cast<const T*>(checked_ptr(dtype_of<T>::value)); }
  template <class T>
  T* mutable_ptr() { return static_cast<T*>(checked_mutable_ptr(dtype_of<T>::value)); }
  bool on_cuda() const { return device().type == DeviceType::cuda; }
  const void* raw() const { return static_cast<const char*>(impl().storage->data()) + impl().offset; }
  void* mutable_raw();

  double item() const;  // the only element, of any dtype, as double
  template <class T>
  std::vector<T> to_vector() const {
    const Tensor host = detach().to(Device{});
    return std::vector<T>(host.data<T>(), host.data<T>() + numel());
  }

  Tensor clone() const;                       // a copy of the data, outside the graph
  Tensor detach() const;                      // the same data, outside the graph
  Tensor reshape(const Shape& shape) const;   // the same data; one dimension may be given as Tensor::infer. Differentiable.
  Tensor to(DType dtype) const;               // converts; differentiable between f32 and f64
  Tensor to(Device device) const;             // copies to another device; differentiable
  static constexpr std::int64_t infer = std::int64_t{1} << 62;

  // Autograd.
  bool requires_grad() const;
  Tensor& set_requires_grad(bool on = true);  // of a leaf
  const std::shared_ptr<Node>& node() const { return impl().node; }

  // Promise that the content never changes again, so that operators may keep what they compute from it (packed weights).
  Tensor& set_constant();
  bool is_constant() const { return impl().storage->constant; }
  const std::shared_ptr<Storage>& storage() const { return impl().storage; }
  bool unique() const { return impl_.use_count() == 1; }  // no other handle to this tensor

 private:
  friend Tensor record(Tensor, const char*, std::vector<Tensor>, struct Derivative);
  friend struct TensorAccess;
  struct Impl {
    std::shared_ptr<Storage> storage;
    std::size_t offset = 0;
    Shape shape;
    DType dtype = DType::f32;
    bool requires_grad = false;
    std::shared_ptr<Node> node;  // what computed it; null for a leaf
  };
  const Impl& impl() const {
    if (!impl_) [[unlikely]] fail(Errc::invalid_argument, "tensor", "an undefined tensor was used");
    return *impl_;
  }
  const void* checked_data(DType wanted) const;
  void* checked_mutable_data(DType wanted);
  const void* checked_ptr(DType wanted) const;
  void* checked_mutable_ptr(DType wanted);
  std::shared_ptr<Impl> impl_;
};

template <class T>
Tensor Tensor::from(const std::vector<T>& values, const Shape& shape, Device device) {
  check(static_cast<std::int64_t>(values.size()) == shape.numel(), "tensor", values.size(), " values for shape ", shape);
  Tensor t = empty(shape, dtype_of<T>::value, Device{});
  std::copy(values.begin(), values.end(), t.mutable_data<T>());
  return t.to(device);
}

// Shape and dtype of a tensor for error messages: `f32 [1,64,64,3]`.
std::string describe(const Tensor& t);

// Copies `value` into `target` (same shape and dtype) outside the graph: for parameters and optimiser state.
void copy_into(Tensor& target, const Tensor& value);

}  // namespace g2s
