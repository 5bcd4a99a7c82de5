#include "c_api/arrays.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "c_api/call.h"
#include "engine/image.h"

namespace g2s::capi {
namespace {

static_assert(G2S_MAX_RANK == Shape::max_rank);
static_assert(G2S_F32 == int(DType::f32) && G2S_F64 == int(DType::f64) && G2S_BF16 == int(DType::bf16) && G2S_F16 == int(DType::f16) &&
              G2S_I32 == int(DType::i32) && G2S_U8 == int(DType::u8));
static_assert(G2S_CPU == int(DeviceType::cpu) && G2S_CUDA == int(DeviceType::cuda));

// a + b * c; false if that overflows.
bool add_product(std::int64_t& a, std::int64_t b, std::int64_t c) {
  std::int64_t product = 0;
  return !__builtin_mul_overflow(b, c, &product) && !__builtin_add_overflow(a, product, &a);
}

bool any_zero(const Shape& shape) { return std::find(shape.begin(), shape.end(), 0) != shape.end(); }

// A run is often a single element.
void copy_bytes(Accelerator* device, char* to, const char* from, std::size_t bytes) {
  if (device) return device->copy(to, from, bytes, CopyKind::device_to_device);
  switch (bytes) {
    case 1: *to = *from; return;
    case 2: std::memcpy(to, from, 2); return;
    case 4: std::memcpy(to, from, 4); return;
    case 8: std::memcpy(to, from, 8); return;
    default: std::memcpy(to, from, bytes);
  }
}

// Calls run(offset, place, count) for each piece of the array whose elements follow each other in memory: `count` elements, `offset` from
// the first one, which are the elements from `place` on in row-major order.
template <class Run>
void for_each_run(const Shape& shape, const std::array<std::int64_t, G2S_MAX_RANK>& strides, Run&& run) {
  int outer = shape.rank();
  std::int64_t count = 1;
  while (outer > 0 && (shape[outer - 1] == 1 || strides[static_cast<std::size_t>(outer - 1)] == count)) count *= shape[--outer];
  std::array<std::int64_t, G2S_MAX_RANK> index{};
  std::int64_t offset = 0, place = 0;
  for (;;) {
    run(offset, place, count);
    place += count;
    int axis = outer - 1;
    for (; axis >= 0; --axis) {
      const auto a = static_cast<std::size_t>(axis);
      if (++index[a] < shape[axis]) {
        offset += strides[a];
        break;
      }
      offset -= strides[a] * (shape[axis] - 1);
      index[a] = 0;
    }
    if (axis < 0) return;
  }
}

Tensor ones_where_not_zero(const Tensor& mask) {
  Tensor out = Tensor::empty(mask.shape(), DType::f32, Device{});
  const float* x = mask.data<float>();
  std::transform(x, x + mask.numel(), out.mutable_data<float>(), [](float v) { return v != 0 ? 1.f : 0.f; });
  return out;
}

Tensor mask_to_pixels(const Tensor& mask) {
  Tensor out = Tensor::empty(mask.shape(), DType::u8, Device{});
  const float* x = mask.data<float>();
  std::transform(x, x + mask.numel(), out.mutable_data<std::uint8_t>(),
                 [](float v) { return static_cast<std::uint8_t>(v >= 0 ? std::min(v, 1.f) * 255.f + 0.5f : 0.f); });
  return out;
}

}  // namespace

Array::Array(const g2s_array& a, const char* argument, Content content)
    : argument_(argument), content_(content), data_(static_cast<char*>(a.data)) {
  auto refuse = [&](const auto&... why) { fail(Errc::invalid_argument, argument, why...); };
  if (a.rank < 0 || a.rank > G2S_MAX_RANK) refuse("its rank ", a.rank, " is not between 0 and ", G2S_MAX_RANK);
  if (a.dtype < G2S_F32 || a.dtype > G2S_U8) refuse("its dtype ", a.dtype, " is none");
  if (a.device_type != G2S_CPU && a.device_type != G2S_CUDA) refuse("its device_type ", a.device_type, " is none");
  dtype_ = static_cast<DType>(a.dtype);
  if (dtype_ == DType::i32 || (dtype_ == DType::u8 && content == Content::numbers))
    fail(Errc::shape_mismatch, argument, "is ", dtype_, content == Content::numbers ? ", not f32, f64, f16 or bf16" : ", not f32, f64, f16, bf16 or u8");
  if (a.device_type == G2S_CUDA) device_ = {DeviceType::cuda, a.device_index};
  for (int i = 0; i < a.rank; ++i) {
    const auto axis = static_cast<std::size_t>(i);
    if (a.shape[i] < 0) refuse("its shape has ", a.shape[i], " at axis ", i);
    shape_.push_back(a.shape[i]);
    strides_[axis] = a.strides[i];
  }
  empty_ = any_zero(shape_);
}

Array Array::readable(const g2s_array* array, const char* argument, Content content) {
  Array a(required(array, argument), argument, content);
  a.check_layout(false);
  return a;
}

Array Array::writable(const g2s_array* array, const char* argument, Content content) {
  Array a(required(array, argument), argument, content);
  a.check_layout(true);
  return a;
}

void Array::check_layout(bool written) {
  auto refuse = [&](const auto&... why) { fail(Errc::invalid_argument, argument_, why...); };
  const auto size = static_cast<std::int64_t>(size_of(dtype_));
  std::int64_t bytes = size, low = 0, high = 0;  // elements reach from data + low to data + high, both included
  for (std::int64_t d : shape_)
    if (d > 0 && __builtin_mul_overflow(bytes, d, &bytes)) refuse("its shape ", shape_, " overflows memory");
  if (empty_) return;
  if (!data_) refuse("its data is null");
  if (reinterpret_cast<std::uintptr_t>(data_) % static_cast<std::uintptr_t>(size) != 0)
    refuse("its data is not aligned to elements of ", size, " bytes");
  const Device works_on = default_device();
  if (device_.type != DeviceType::cpu && device_ != works_on)
    fail(Errc::unsupported, argument_, "is on ", device_, ", but the call works on ", works_on);
  bool fits = true;
  for (int i = 0; i < rank(); ++i) {
    const std::int64_t stride = strides_[static_cast<std::size_t>(i)];
    if (shape_[i] > 1) fits = fits && add_product(stride < 0 ? low : high, stride, shape_[i] - 1);
  }
  std::int64_t first = 0, last = size;
  fits = fits && add_product(first, low, size) && add_product(last, high, size);
  std::uintptr_t address = reinterpret_cast<std::uintptr_t>(data_), end = 0;
  fits =
      fits && address >= -static_cast<std::uintptr_t>(first) && !__builtin_add_overflow(address, static_cast<std::uintptr_t>(last), &end);
  if (!fits) refuse("its strides reach beyond all memory");
  if (written) check_overlap();
}

// Sorted by strides, each axis must step over all that the ones below it reach.
void Array::check_overlap() const {
  std::vector<std::pair<std::int64_t, int>> steps;  // stride and axis
  for (int i = 0; i < rank(); ++i)
    if (shape_[i] > 1) steps.emplace_back(strides_[static_cast<std::size_t>(i)], i);
  std::sort(steps.begin(), steps.end());
  std::int64_t reach = 0;
  for (const auto& [stride, axis] : steps) {
    if (stride <= 0) fail(Errc::invalid_argument, argument_, "is written to, but its stride at axis ", axis, " is ", stride);
    if (stride <= reach) fail(Errc::invalid_argument, argument_, "is written to, but its elements overlap");
    reach += stride * (shape_[axis] - 1);
  }
}

void Array::require(bool ok, const std::string& expected) const {
  if (!ok) fail(Errc::shape_mismatch, argument_, "is ", shape_, ", expected ", expected);
}

void Array::require_shape(const Shape& shape) const { require(shape_ == shape, str(shape)); }

Array& Array::with_batch() {
  if (rank() != (content_ == Content::mask ? 2 : 3)) return *this;
  Shape batched{1};
  for (std::int64_t d : shape_) batched.push_back(d);
  std::copy_backward(strides_.begin(), strides_.end() - 1, strides_.end());
  strides_[0] = 0;
  shape_ = batched;
  return *this;
}

Array& Array::without_batch() {
  if (rank() != (content_ == Content::mask ? 3 : 4) || shape_[0] != 1) return *this;
  shape_ = Shape(std::vector<std::int64_t>(shape_.begin() + 1, shape_.end()));
  std::copy(strides_.begin() + 1, strides_.end(), strides_.begin());
  return *this;
}

// Between the array and contiguous memory on its device, run by run: copy(element of the array, place in the other, bytes).
template <class Copy>
void Array::for_each_piece(Copy&& copy) const {
  const auto size = static_cast<std::int64_t>(size_of(dtype_));
  for_each_run(shape_, strides_, [&](std::int64_t offset, std::int64_t place, std::int64_t count) {
    copy(data_ + offset * size, place * size, static_cast<std::size_t>(count * size));
  });
}

Accelerator* Array::its_accelerator() const { return device_.type == DeviceType::cpu ? nullptr : &accelerator(device_, argument_); }

// Contiguous, where the array is.
Tensor Array::gather() const {
  Tensor out = Tensor::empty(shape_, dtype_, device_);
  if (empty_) return out;
  char* to = static_cast<char*>(out.mutable_raw());
  Accelerator* device = its_accelerator();
  for_each_piece([&](const char* from, std::int64_t place, std::size_t bytes) { copy_bytes(device, to + place, from, bytes); });
  return out;
}

void Array::scatter(const Tensor& value) const {
  if (empty_) return;
  const char* from = static_cast<const char*>(value.raw());
  Accelerator* device = its_accelerator();
  for_each_piece([&](char* to, std::int64_t place, std::size_t bytes) { copy_bytes(device, to, from + place, bytes); });
  if (device) device->synchronize();
}

Tensor Array::read_as_it_is() const { return gather().to(Device{}); }

Tensor Array::read() const {
  Tensor value = gather();
  if (dtype_ != DType::f32 || content_ == Content::mask) value = value.to(Device{});  // not all types are converted on a device
  if (content_ == Content::image && dtype_ == DType::u8) value = pixels_to_image(value);
  value = value.to(DType::f32);
  return (content_ == Content::mask ? ones_where_not_zero(value) : value).to(default_device());
}

void Array::write(const Tensor& value) const {
  check(value.shape() == shape_ && value.dtype() == DType::f32, argument_, "is ", shape_, ", but the result is ", describe(value));
  Tensor stored = value.detach();
  if (dtype_ != DType::f32) stored = stored.to(Device{});
  if (dtype_ == DType::u8) stored = content_ == Content::mask ? mask_to_pixels(stored) : image_to_pixels(stored);
  scatter(stored.to(dtype_).to(device_));
}

g2s_array view_of(const Tensor& tensor) {
  g2s_array view =
      g2s_array_of(const_cast<void*>(tensor.raw()), static_cast<g2s_dtype>(tensor.dtype()), tensor.rank(), tensor.shape().begin());
  view.device_type = static_cast<int32_t>(tensor.device().type);
  view.device_index = tensor.device().index;
  return view;
}

}  // namespace g2s::capi

g2s_array g2s_array_of(void* data, g2s_dtype dtype, int32_t rank, const int64_t* shape) {
  g2s_array a{};
  a.data = data;
  a.dtype = dtype;
  a.device_type = G2S_CPU;
  a.rank = rank >= 0 && rank <= G2S_MAX_RANK && (shape || rank == 0) ? rank : -1;
  std::uint64_t stride = 1;  // that of a shape that overflows means nothing: calls refuse it
  for (int32_t i = a.rank - 1; i >= 0; --i) {
    a.shape[i] = shape[i];
    a.strides[i] = static_cast<std::int64_t>(stride);
    stride *= static_cast<std::uint64_t>(shape[i]);
  }
  return a;
}
