// Arrays of the caller's: checked before anything is done with them, copied in and out. Messages name the argument.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "engine/accelerator.h"
#include "engine/tensor.h"
#include "gan2shape/gan2shape.h"

namespace g2s::capi {

// What the elements mean, which says what u8 is.
enum class Content : std::uint8_t {
  numbers,  // as they are; no u8
  image,    // in [-1,1]; u8 is 0 to 255
  mask,     // read: 1 where it is not 0; written: 0 to 1, u8 is 0 to 255
};

// A view that was checked: its elements lie in the address space, aligned, on a device that this thread works on.
class Array {
 public:
  // Null is refused by these, and dtypes that the content has not.
  static Array readable(const g2s_array* array, const char* argument, Content content = Content::numbers);
  static Array writable(const g2s_array* array, const char* argument, Content content = Content::numbers);  // elements must not overlap

  const Shape& shape() const { return shape_; }
  std::int64_t dim(int axis) const { return shape_[axis]; }
  int rank() const { return shape_.rank(); }
  DType dtype() const { return dtype_; }
  bool empty() const { return empty_; }
  const char* argument() const { return argument_; }

  // Throws shape_mismatch, which says what was expected ("[B,512]"), unless ok.
  void require(bool ok, const std::string& expected) const;
  void require_shape(const Shape& shape) const;
  // [H,W,C] becomes [1,H,W,C], [H,W] of a mask [1,H,W].
  Array& with_batch();
  Array& without_batch();  // of one, if it is there

  // A copy: f32 on this thread's device (default_device()), contiguous.
  Tensor read() const;
  // A copy on the CPU of the dtype that it has.
  Tensor read_as_it_is() const;
  // value: f32 of this shape, anywhere. Returns when all is written.
  void write(const Tensor& value) const;

 private:
  Array(const g2s_array& array, const char* argument, Content content);
  void check_layout(bool written);
  void check_overlap() const;
  template <class Copy>
  void for_each_piece(Copy&& copy) const;
  Accelerator* its_accelerator() const;  // null: the CPU
  Tensor gather() const;
  void scatter(const Tensor& value) const;

  const char* argument_;
  Content content_;
  char* data_;
  DType dtype_ = DType::f32;
  Device device_;
  Shape shape_;
  std::array<std::int64_t, G2S_MAX_RANK> strides_{};
  bool empty_ = false;
};

// A view of a tensor's memory.
g2s_array view_of(const Tensor& tensor);

}  // namespace g2s::capi
