// Tensors to and from other programs' memory, without a copy.
#include <dlpack/dlpack.h>

#include <array>
#include <memory>

#include "c_api/objects.h"
#include "engine/error.h"

namespace g2s::capi {
namespace {

DLDataType to_dlpack(DType dtype) {
  const auto type = [](DLDataTypeCode code, std::uint8_t bits) { return DLDataType{static_cast<std::uint8_t>(code), bits, 1}; };
  switch (dtype) {
    case DType::f32: return type(kDLFloat, 32);
    case DType::f64: return type(kDLFloat, 64);
    case DType::f16: return type(kDLFloat, 16);
    case DType::bf16: return type(kDLBfloat, 16);
    case DType::i32: return type(kDLInt, 32);
    case DType::u8: return type(kDLUInt, 8);
  }
  fail(Errc::internal, "dlpack", "a tensor of ", dtype);
}

DType from_dlpack(DLDataType type) {
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::u8}) {
    const DLDataType ours = to_dlpack(dtype);
    if (type.code == ours.code && type.bits == ours.bits && type.lanes == 1) return dtype;
  }
  fail(Errc::unsupported, "managed", "its elements have type code ", int{type.code}, ", ", int{type.bits}, " bits and ", type.lanes,
       " lanes; f32, f64, f16, bf16, i32 and u8 are taken");
}

Device from_dlpack(DLDevice device) {
  switch (device.device_type) {
    case kDLCPU:
    case kDLCUDAHost: return {};
    case kDLCUDA:
      if (device.device_id >= 0) return {DeviceType::cuda, device.device_id};
      [[fallthrough]];
    default:
      fail(Errc::unsupported, "managed", "is on device ", device.device_id, " of type ", static_cast<int>(device.device_type),
           ", neither cpu nor cuda");
  }
}

Shape shape_of(const DLTensor& t) {
  if (t.ndim < 0 || t.ndim > Shape::max_rank)
    fail(Errc::unsupported, "managed", "its rank ", t.ndim, " is not between 0 and ", Shape::max_rank);
  if (t.ndim > 0 && !t.shape) fail(Errc::invalid_argument, "managed", "its shape is null");
  Shape shape;
  bool empty = false;
  for (int i = 0; i < t.ndim; ++i) {
    if (t.shape[i] < 0) fail(Errc::invalid_argument, "managed", "its shape has ", t.shape[i], " at axis ", i);
    shape.push_back(t.shape[i]);
    empty = empty || t.shape[i] == 0;
  }
  std::int64_t stride = 1;
  for (int i = t.ndim - 1; i >= 0; --i) {
    if (t.strides && t.shape[i] > 1 && !empty && t.strides[i] != stride) fail(Errc::unsupported, "managed", "is not contiguous");
    if (t.shape[i] > 0 && __builtin_mul_overflow(stride, t.shape[i], &stride))
      fail(Errc::invalid_argument, "managed", "its shape ", shape, " overflows memory");
  }
  return shape;
}

// What goes out: the receiver's deleter call ends it.
struct Shared {
  DLManagedTensor managed{};
  std::shared_ptr<TensorObject> tensor;
  std::array<std::int64_t, Shape::max_rank> shape{}, strides{};
};

// What came in, from when it is taken over on.
struct Taken {
  Taken() = default;
  Taken(const Taken&) = delete;
  ~Taken() {
    if (managed && managed->deleter) managed->deleter(managed);
  }
  DLManagedTensor* managed = nullptr;
};

DLManagedTensor* share(std::shared_ptr<TensorObject> object) {
  auto out = std::make_unique<Shared>();
  const Tensor& value = object->value;
  std::int64_t stride = 1;
  for (int i = value.rank() - 1; i >= 0; --i) {
    const auto axis = static_cast<std::size_t>(i);
    out->shape[axis] = value.dim(i);
    out->strides[axis] = stride;
    stride *= value.dim(i);
  }
  DLTensor& t = out->managed.dl_tensor;
  t.data = const_cast<void*>(value.raw());
  t.device = value.on_cuda() ? DLDevice{kDLCUDA, value.device().index} : DLDevice{kDLCPU, 0};
  t.ndim = value.rank();
  t.dtype = to_dlpack(value.dtype());
  t.shape = out->shape.data();
  t.strides = out->strides.data();
  out->tensor = std::move(object);
  out->managed.manager_ctx = out.get();
  out->managed.deleter = [](DLManagedTensor* self) { delete static_cast<Shared*>(self->manager_ctx); };
  return &out.release()->managed;
}

g2s_tensor take(DLManagedTensor& managed) {
  const DLTensor& t = managed.dl_tensor;
  const Device device = from_dlpack(t.device);
  const DType dtype = from_dlpack(t.dtype);
  const Shape shape = shape_of(t);
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<std::size_t>(shape.numel()), size_of(dtype), &bytes))
    fail(Errc::invalid_argument, "managed", "its shape ", shape, " overflows memory");
  char* data = t.data ? static_cast<char*>(t.data) + t.byte_offset : nullptr;
  if (bytes > 0 && !data) fail(Errc::invalid_argument, "managed", "its data is null");
  if (reinterpret_cast<std::uintptr_t>(data) % size_of(dtype) != 0)
    fail(Errc::invalid_argument, "managed", "its data is not aligned to elements of ", size_of(dtype), " bytes");
  auto taken = std::make_shared<Taken>();
  const g2s_tensor tensor = give_tensor(Tensor::wrap(std::make_shared<Storage>(data, bytes, device, taken), shape, dtype));
  taken->managed = &managed;  // last of all: after a failure it is the caller's
  return tensor;
}

}  // namespace
}  // namespace g2s::capi

using namespace g2s::capi;

g2s_status g2s_tensor_to_dlpack(g2s_tensor tensor, DLManagedTensor** managed) {
  return call([&] {
    DLManagedTensor*& out = output(managed, "managed");
    out = share(find<TensorObject>(tensor, "tensor"));
  });
}

g2s_status g2s_tensor_from_dlpack(DLManagedTensor* managed, g2s_tensor* tensor) {
  return call([&] {
    g2s_tensor& out = output(tensor, "tensor");
    out = take(required(managed, "managed"));
  });
}
