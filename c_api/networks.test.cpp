// The distance and the mask through the C interface: the bits of the same calls in C++.
#include <doctest/doctest.h>

#include "engine/autograd.h"
#include "engine/image.h"
#include "kernels/shape/shape.h"
#include "models/lpips.h"
#include "models/u2netp.h"
#include "tests/support/c_interface.h"

using namespace g2s;
using namespace g2s::test;

namespace {

const Shape pictures = {2, 16, 17, 3};

struct Compared {
  Tensor distance, da, db;
};

Compared compare(const Tensor& a, const Tensor& b) {
  Context context(usual_options());
  const UseContext in(context);
  const Lpips lpips(SafetensorsFile(source_path("assets/lpips_vgg.safetensors")));
  const Tensor x = a.to(default_device()).detach().set_requires_grad(), y = b.to(default_device()).detach().set_requires_grad();
  const Tensor d = lpips.distance(x, y);
  const std::vector<Tensor> g = grad({d}, {x, y}, {Tensor::full(d.shape(), 1)});
  return {d.detach().to(Device{}), g[0].detach().to(Device{}), g[1].detach().to(Device{})};
}

class LoadedLpips {
 public:
  explicit LoadedLpips(g2s_context context) {
    REQUIRE_OK(g2s_lpips_load(context, source_path("assets/lpips_vgg.safetensors").c_str(), &handle));
  }
  ~LoadedLpips() { CHECK_OK(g2s_lpips_free(handle)); }
  LoadedLpips(const LoadedLpips&) = delete;
  operator g2s_lpips() const { return handle; }
  g2s_lpips handle = nullptr;
};

// A bright disc on a dark ground, [H,W,3] in [-1,1].
Tensor disc(std::int64_t height, std::int64_t width) {
  Tensor out = Tensor::empty({height, width, 3});
  for (std::int64_t i = 0; i < height * width; ++i) {
    const double y = static_cast<double>(i / width) / static_cast<double>(height) - 0.5,
                 x = static_cast<double>(i % width) / static_cast<double>(width) - 0.5;
    for (int c = 0; c < 3; ++c) out.mutable_data<float>()[3 * i + c] = x * x + y * y < 0.1 ? 0.7f : -0.8f;
  }
  return out;
}

}  // namespace

TEST_CASE("C interface: distance and its gradients have the bits of the C++ calls") {
  const CContext context;
  const LoadedLpips lpips(context);
  const Tensor a = hashed_input("capi/a", pictures), b = hashed_input("capi/b", pictures);
  const Compared want = compare(a, b);
  const Tensor d = Tensor::empty({2}), da = Tensor::empty(pictures), db = Tensor::empty(pictures), da_alone = Tensor::empty(pictures);
  const g2s_array x = array_of(a), y = array_of(b), d_out = array_of(d), da_out = array_of(da), db_out = array_of(db),
                  alone = array_of(da_alone);
  CHECK_OK(g2s_lpips_distance(lpips, &x, &y, &d_out));
  CHECK(same_bits(d, want.distance));
  const Tensor again = Tensor::empty({2});
  const g2s_array again_out = array_of(again);
  CHECK_OK(g2s_lpips_gradient(lpips, &x, &y, &again_out, &da_out, &db_out));
  CHECK(same_bits(again, want.distance));
  CHECK(same_bits(da, want.da));
  CHECK(same_bits(db, want.db));
  CHECK_OK(g2s_lpips_gradient(lpips, &x, &y, nullptr, &alone, nullptr));
  CHECK(same_bits(da_alone, want.da));
  CHECK_OK(g2s_lpips_gradient(lpips, &x, &y, nullptr, nullptr, &alone));
  CHECK(same_bits(da_alone, want.db));
}

TEST_CASE("C interface: distances of bytes, of one pair without its batch, and of none") {
  const CContext context;
  const LoadedLpips lpips(context);
  const Tensor a = image_to_pixels(hashed_input("capi/a", {16, 17, 3})), b = image_to_pixels(hashed_input("capi/b", {16, 17, 3}));
  const Compared want = compare(pixels_to_image(a).reshape({1, 16, 17, 3}), pixels_to_image(b).reshape({1, 16, 17, 3}));
  const Tensor scalar = Tensor::empty({}), one = Tensor::empty({1}, DType::f64), da = Tensor::empty({16, 17, 3});
  const g2s_array x = array_of(a), y = array_of(b), scalar_out = array_of(scalar), one_out = array_of(one), da_out = array_of(da);
  CHECK_OK(g2s_lpips_distance(lpips, &x, &y, &scalar_out));
  CHECK_OK(g2s_lpips_distance(lpips, &x, &y, &one_out));
  CHECK(same_bits(scalar, want.distance.reshape({})));
  CHECK(one.item() == scalar.item());
  CHECK_OK(g2s_lpips_gradient(lpips, &x, &y, &scalar_out, &da_out, nullptr));
  CHECK(same_bits(da, want.da.reshape({16, 17, 3})));
  const std::int64_t none[] = {0, 16, 16, 3};
  const g2s_array nothing = g2s_array_of(nullptr, G2S_F32, 4, none), no_distance = g2s_array_of(nullptr, G2S_F32, 1, none);
  CHECK_OK(g2s_lpips_distance(lpips, &nothing, &nothing, &no_distance));
  CHECK_OK(g2s_lpips_gradient(lpips, &nothing, &nothing, &no_distance, &nothing, &nothing));
}

TEST_CASE("C interface: what the distance does not take is refused, by name") {
  const CContext context;
  const LoadedLpips lpips(context);
  const Tensor a = Tensor::zeros(pictures), small = Tensor::zeros({2, 15, 17, 3}), d = Tensor::zeros({3}),
               grey = Tensor::zeros({2, 16, 17, 1}), bytes = Tensor::zeros(pictures, DType::u8);
  const g2s_array x = array_of(a), s = array_of(small), d_out = array_of(d), g = array_of(grey), u8 = array_of(bytes);
  check_fails(g2s_lpips_distance(lpips, &x, nullptr, &d_out), G2S_INVALID_ARGUMENT, "b: is null");
  check_fails(g2s_lpips_distance(lpips, &s, &s, &d_out), G2S_SHAPE_MISMATCH,
              "a: is [2,15,17,3], expected [B,H,W,3] with H and W 16 or more");
  check_fails(g2s_lpips_distance(lpips, &x, &g, &d_out), G2S_SHAPE_MISMATCH,
              "b: is [2,16,17,1], expected [B,H,W,3] with H and W 16 or more");
  check_fails(g2s_lpips_distance(lpips, &x, &x, &d_out), G2S_SHAPE_MISMATCH, "distance: is [3], expected [2]");
  check_fails(g2s_lpips_gradient(lpips, &x, &x, nullptr, nullptr, nullptr), G2S_INVALID_ARGUMENT,
              "da: is null, and db too: no gradient is asked for");
  check_fails(g2s_lpips_gradient(lpips, &x, &x, nullptr, &s, nullptr), G2S_SHAPE_MISMATCH, "da: is [2,15,17,3], expected [2,16,17,3]");
  check_fails(g2s_lpips_gradient(lpips, &x, &x, nullptr, nullptr, &u8), G2S_SHAPE_MISMATCH, "db: is u8, not f32, f64, f16 or bf16");
  check_fails(g2s_lpips_distance(nullptr, &x, &x, &d_out), G2S_INVALID_ARGUMENT, "lpips: is null, no lpips");
}

TEST_CASE("C interface: the mask has the bits of the C++ call") {
  const CContext context;
  g2s_masker masker = nullptr;
  const std::string path = source_path("assets/u2netp.safetensors");
  REQUIRE_OK(g2s_masker_load(context, path.c_str(), &masker));
  const Tensor picture = disc(24, 30);
  Tensor want;
  {
    Context other(usual_options());
    const UseContext in(other);
    want = U2NetP(SafetensorsFile(path)).mask(picture.to(default_device())).to(Device{});
  }
  const Tensor mask = Tensor::empty({24, 30}), bytes = Tensor::empty({1, 24, 30}, DType::u8), half = Tensor::empty({24, 30}, DType::f16);
  const g2s_array in = array_of(picture), mask_out = array_of(mask), bytes_out = array_of(bytes), half_out = array_of(half);
  CHECK_OK(g2s_masker_find(masker, &in, &mask_out));
  CHECK(same_bits(mask, want));
  const std::vector<float> values = want.to_vector<float>();
  CHECK(std::count(values.begin(), values.end(), 1.f) > 50);
  CHECK(std::count(values.begin(), values.end(), 0.f) > 50);
  check_fails(g2s_masker_find(masker, &mask_out, &mask_out), G2S_SHAPE_MISMATCH, "picture: is [24,30], expected [H,W,3]");
  check_fails(g2s_masker_find(masker, &in, &in), G2S_SHAPE_MISMATCH, "mask: is [24,30,3], expected [24,30]");
  check_fails(g2s_masker_find(masker, &in, nullptr), G2S_INVALID_ARGUMENT, "mask: is null");
  if (test_device().type == DeviceType::cpu) {  // minutes on the other
    CHECK_OK(g2s_masker_find(masker, &in, &bytes_out));
    CHECK_OK(g2s_masker_find(masker, &in, &half_out));
    for (std::int64_t i = 0; i < want.numel(); ++i) CHECK(bytes.data<std::uint8_t>()[i] == (want.data<float>()[i] != 0 ? 255 : 0));
    CHECK(same_bits(half.to(DType::f32), want));
  }
  CHECK_OK(g2s_masker_free(masker));
}
