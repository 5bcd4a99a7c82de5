// Memory that is shared with other programs.
#include <dlpack/dlpack.h>
#include <doctest/doctest.h>

#include <thread>

#include "c_api/objects.h"
#include "tests/support/c_interface.h"

using namespace g2s;
using namespace g2s::capi;
using namespace g2s::test;

namespace {

// What another program would hand over; counts the calls of its deleter.
struct Foreign {
  std::vector<float> values = {0, 1, 2, 3, 4, 5};
  std::vector<std::int64_t> shape = {2, 3}, strides = {3, 1};
  int deleted = 0;
  DLManagedTensor managed{};

  Foreign() {
    managed.dl_tensor = {values.data(), {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape.data(), strides.data(), 0};
    managed.manager_ctx = this;
    managed.deleter = [](DLManagedTensor* self) { ++static_cast<Foreign*>(self->manager_ctx)->deleted; };
  }
  Foreign(const Foreign&) = delete;
};

void refused(Foreign& foreign, g2s_status status, const std::string& sentence) {
  g2s_tensor tensor = reinterpret_cast<g2s_tensor>(1);
  check_fails(g2s_tensor_from_dlpack(&foreign.managed, &tensor), status, sentence);
  CHECK(tensor == nullptr);
  CHECK(foreign.deleted == 0);
}

}  // namespace

TEST_CASE("C interface: a tensor by DLPack shares its memory and outlives its handle") {
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::u8}) {
    const Tensor value = hashed_input("capi/shared", {2, 1, 3}, DType::f32, 100).to(dtype);
    const g2s_tensor tensor = give_tensor(value);
    DLManagedTensor *one = nullptr, *other = nullptr;
    REQUIRE_OK(g2s_tensor_to_dlpack(tensor, &one));
    REQUIRE_OK(g2s_tensor_to_dlpack(tensor, &other));
    CHECK_OK(g2s_tensor_free(tensor));
    CHECK(one->dl_tensor.data == value.raw());
    CHECK(std::vector<std::int64_t>(one->dl_tensor.shape, one->dl_tensor.shape + 3) == std::vector<std::int64_t>{2, 1, 3});
    CHECK(std::vector<std::int64_t>(one->dl_tensor.strides, one->dl_tensor.strides + 3) == std::vector<std::int64_t>{3, 3, 1});
    CHECK(one->dl_tensor.dtype.bits == 8 * size_of(dtype));
    // And back again: the deleter of `one` is ours to call no more.
    g2s_tensor back = nullptr;
    REQUIRE_OK(g2s_tensor_from_dlpack(one, &back));
    g2s_array view;
    CHECK_OK(g2s_tensor_view(back, &view));
    CHECK(view.data == value.raw());
    CHECK(view.dtype == static_cast<int>(dtype));
    CHECK_OK(g2s_tensor_free(back));
    std::thread([&] { other->deleter(other); }).join();
    CHECK(value.unique());
    CHECK(value.storage().use_count() == 1);
  }
}

TEST_CASE("C interface: a tensor of another program is taken over, and let go of once") {
  Foreign foreign;
  g2s_tensor tensor = nullptr;
  REQUIRE_OK(g2s_tensor_from_dlpack(&foreign.managed, &tensor));
  g2s_array view;
  REQUIRE_OK(g2s_tensor_view(tensor, &view));
  CHECK(view.data == foreign.values.data());
  CHECK(view.rank == 2);
  CHECK(view.shape[1] == 3);
  DLManagedTensor* again = nullptr;
  REQUIRE_OK(g2s_tensor_to_dlpack(tensor, &again));
  CHECK_OK(g2s_tensor_free(tensor));
  CHECK(foreign.deleted == 0);
  again->deleter(again);
  CHECK(foreign.deleted == 1);
}

TEST_CASE("C interface: what DLPack allows and is as good as contiguous") {
  const auto taken = [](Foreign& foreign) {
    g2s_tensor tensor = nullptr;
    REQUIRE_OK(g2s_tensor_from_dlpack(&foreign.managed, &tensor));
    g2s_array view;
    REQUIRE_OK(g2s_tensor_view(tensor, &view));
    CHECK_OK(g2s_tensor_free(tensor));
    return view;
  };
  Foreign no_strides, offset, ones, scalar, empty, no_deleter;
  no_strides.managed.dl_tensor.strides = nullptr;
  CHECK(taken(no_strides).strides[0] == 3);
  offset.managed.dl_tensor.byte_offset = 8;
  offset.shape = {1, 4};
  CHECK(taken(offset).data == offset.values.data() + 2);
  ones.shape = {1, 6}, ones.strides = {77, 1};
  ones.managed.dl_tensor.strides = ones.strides.data(), ones.managed.dl_tensor.shape = ones.shape.data();
  CHECK(taken(ones).shape[1] == 6);
  scalar.managed.dl_tensor.ndim = 0, scalar.managed.dl_tensor.shape = nullptr, scalar.managed.dl_tensor.strides = nullptr;
  CHECK(taken(scalar).rank == 0);
  empty.shape = {0, 3}, empty.managed.dl_tensor.shape = empty.shape.data(), empty.managed.dl_tensor.data = nullptr;
  CHECK(taken(empty).shape[0] == 0);
  no_deleter.managed.deleter = nullptr;
  taken(no_deleter);
}

TEST_CASE("C interface: what is not taken by DLPack stays the caller's") {
  Foreign f;
  DLTensor& t = f.managed.dl_tensor;
  g2s_tensor tensor = nullptr;
  check_fails(g2s_tensor_from_dlpack(nullptr, &tensor), G2S_INVALID_ARGUMENT, "managed: is null");
  check_fails(g2s_tensor_from_dlpack(&f.managed, nullptr), G2S_INVALID_ARGUMENT, "tensor: is null");
  f.strides = {1, 2};
  refused(f, G2S_UNSUPPORTED, "managed: is not contiguous");
  f.strides = {3, 1};
  t.device = {kDLROCM, 0};
  refused(f, G2S_UNSUPPORTED, "managed: is on device 0 of type 10, neither cpu nor cuda");
  t.device = {kDLCUDA, -1};
  refused(f, G2S_UNSUPPORTED, "managed: is on device -1 of type 2, neither cpu nor cuda");
  t.device = {kDLCPU, 0};
  t.dtype = {kDLInt, 64, 1};
  refused(f, G2S_UNSUPPORTED, "managed: its elements have type code 0, 64 bits and 1 lanes; f32, f64, f16, bf16, i32 and u8 are taken");
  t.dtype = {kDLFloat, 32, 4};
  refused(f, G2S_UNSUPPORTED, "managed: its elements have type code 2, 32 bits and 4 lanes; f32, f64, f16, bf16, i32 and u8 are taken");
  t.dtype = {kDLFloat, 32, 1};
  for (int rank : {-1, 7}) {
    t.ndim = rank;
    refused(f, G2S_UNSUPPORTED, str("managed: its rank ", rank, " is not between 0 and 6"));
  }
  t.ndim = 2;
  f.shape = {2, -3};
  refused(f, G2S_INVALID_ARGUMENT, "managed: its shape has -3 at axis 1");
  f.shape = {std::int64_t{1} << 40, std::int64_t{1} << 40};
  t.strides = nullptr;
  refused(f, G2S_INVALID_ARGUMENT, "managed: its shape [1099511627776,1099511627776] overflows memory");
  f.shape = {2, 3};
  t.byte_offset = 2;
  refused(f, G2S_INVALID_ARGUMENT, "managed: its data is not aligned to elements of 4 bytes");
  t.byte_offset = 0;
  t.data = nullptr;
  refused(f, G2S_INVALID_ARGUMENT, "managed: its data is null");
  t.data = f.values.data();
  t.shape = nullptr;
  refused(f, G2S_INVALID_ARGUMENT, "managed: its shape is null");
  DLManagedTensor* out = &f.managed;
  check_fails(g2s_tensor_to_dlpack(nullptr, &out), G2S_INVALID_ARGUMENT, "tensor: is null, no tensor");
  CHECK(out == nullptr);
}

TEST_CASE("C interface: DLPack on the device" * doctest::skip(no_test_device())) {
  const Tensor value = hashed_input("capi/shared", {5}).to(test_device());
  const g2s_tensor tensor = give_tensor(value);
  DLManagedTensor* managed = nullptr;
  REQUIRE_OK(g2s_tensor_to_dlpack(tensor, &managed));
  CHECK_OK(g2s_tensor_free(tensor));
  CHECK(managed->dl_tensor.device.device_type == kDLCUDA);
  CHECK(managed->dl_tensor.data == value.raw());
  g2s_tensor back = nullptr;
  REQUIRE_OK(g2s_tensor_from_dlpack(managed, &back));
  g2s_array view;
  CHECK_OK(g2s_tensor_view(back, &view));
  CHECK(view.device_type == G2S_CUDA);
  CHECK_OK(g2s_tensor_free(back));
}
