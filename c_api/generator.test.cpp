// The generator through the C interface: the bits of the same calls in C++.
#include <doctest/doctest.h>

#include <filesystem>
#include <thread>

#include "engine/autograd.h"
#include "engine/files.h"
#include "engine/image.h"
#include "engine/precision.h"
#include "kernels/precision.h"
#include "kernels/shape/shape.h"
#include "tests/support/c_interface.h"

using namespace g2s;
using namespace g2s::test;

namespace {

const Shape picture_shape = {2, tiny_size, tiny_size, 3};

Tensor latents(bool all) { return hashed_input("capi/w", all ? Shape{2, tiny_latents, tiny_latent} : Shape{2, tiny_latent}); }

struct Drawn {
  Tensor picture, gradient;
};

// In C++.
Drawn draw(const std::string& path, const Tensor& w, const Tensor& dpicture, ContextOptions options = usual_options()) {
  Context context(std::move(options));
  const UseContext in(context);
  const auto generator = load_generator(SafetensorsFile(path));
  const Tensor latent = w.to(default_device()).detach().set_requires_grad();
  const Tensor picture = generator->synthesis(latent);
  return {picture.detach().to(Device{}), grad({picture}, {latent}, {dpicture.to(default_device())})[0].detach().to(Device{})};
}

Drawn draw_in_c(g2s_generator generator, const Tensor& w, const Tensor& dpicture) {
  Drawn out{Tensor::empty(dpicture.shape()), Tensor::empty(w.shape())};
  const g2s_array in = array_of(w), dy = array_of(dpicture), picture = array_of(out.picture), dw = array_of(out.gradient);
  REQUIRE_OK(g2s_generator_vjp(generator, &in, &dy, &picture, &dw));
  return out;
}

bool same(const Drawn& a, const Drawn& b) { return same_bits(a.picture, b.picture) && same_bits(a.gradient, b.gradient); }

}  // namespace

TEST_CASE("C interface: a generator says what it is") {
  const CContext context;
  const TinyGenerator generator(context);
  g2s_generator_info info{};
  check_fails(g2s_generator_get_info(generator, &info), G2S_INVALID_ARGUMENT,
              "info: struct_size is 0; it should be sizeof(g2s_generator_info)");
  info.struct_size = sizeof info;
  CHECK_OK(g2s_generator_get_info(generator, &info));
  CHECK(info.struct_size == sizeof info);
  CHECK(info.size == tiny_size);
  CHECK(info.latent == tiny_latent);
  CHECK(info.latents == tiny_latents);
  check_fails(g2s_generator_get_info(generator, nullptr), G2S_INVALID_ARGUMENT, "info: is null");
}

TEST_CASE("C interface: picture and gradient have the bits of the C++ calls") {
  const CContext context;
  const TinyGenerator generator(context);
  const Tensor dpicture = hashed_input("capi/dpicture", picture_shape);
  for (bool all : {false, true}) {
    const Tensor w = latents(all);
    const Drawn want = draw(generator.path(), w, dpicture), got = draw_in_c(generator, w, dpicture);
    CHECK(same(got, want));
    const Tensor picture = Tensor::empty(picture_shape), gradient = Tensor::empty(w.shape());
    const g2s_array in = array_of(w), dy = array_of(dpicture), y = array_of(picture), dw = array_of(gradient);
    CHECK_OK(g2s_generator_picture(generator, &in, &y));
    CHECK(same_bits(picture, want.picture));
    CHECK_OK(g2s_generator_vjp(generator, &in, &dy, nullptr, &dw));
    CHECK(same_bits(gradient, want.gradient));
  }
}

TEST_CASE("C interface: a MobileStyleGAN is a generator too, which its file says") {
  const CContext context;
  const std::string path = temporary_name((std::filesystem::temp_directory_path() / "g2s_mobile").string());
  ParameterMap parameters = mobilestylegan_parameters({.style_dim = tiny_latent, .mapping_layers = 2, .first = 8, .channels = {8}});
  fill_hashed_mobilestylegan(parameters);
  write_safetensors(path, parameters.to_checkpoint());
  g2s_generator generator{};
  REQUIRE_OK(g2s_generator_load(context, path.c_str(), &generator));
  g2s_generator_info info{sizeof info, 0, 0, 0};
  CHECK_OK(g2s_generator_get_info(generator, &info));
  CHECK(info.size == 16);
  CHECK(info.latents == 4);
  const Tensor dpicture = hashed_input("capi/dpicture", {2, 16, 16, 3});
  for (bool all : {false, true}) CHECK(same(draw_in_c(generator, latents(all), dpicture), draw(path, latents(all), dpicture)));
  CHECK_OK(g2s_generator_free(generator));
  std::filesystem::remove(path);
}

TEST_CASE("C interface: mapping and mean latent have the bits of the C++ calls") {
  const CContext context;
  const TinyGenerator generator(context);
  const Tensor z = hashed_input("capi/z", {3, tiny_latent}), w = Tensor::empty({3, tiny_latent});
  const Tensor mean = Tensor::empty({tiny_latent}), row = Tensor::empty({1, tiny_latent}), of_many = Tensor::empty({tiny_latent});
  const g2s_array in = array_of(z), out = array_of(w), mean_out = array_of(mean), row_out = array_of(row), many_out = array_of(of_many);
  CHECK_OK(g2s_generator_mapping(generator, &in, &out));
  CHECK_OK(g2s_generator_mean_latent(generator, 5, 4096, &mean_out));
  CHECK_OK(g2s_generator_mean_latent(generator, 5, 4096, &row_out));
  Context other(usual_options());
  const UseContext within(other);
  const StyleGan2Generator same = StyleGan2Generator::load(SafetensorsFile(generator.path()));
  CHECK(same_bits(w, same.mapping(z.to(default_device())).to(Device{})));
  Random random(5, "mean_latent");
  const Tensor want = same.mean_latent(random).to(Device{});
  CHECK(same_bits(row, want));
  CHECK(same_bits(mean, want.reshape({tiny_latent})));
  check_fails(g2s_generator_mean_latent(generator, 5, 0, &mean_out), G2S_INVALID_ARGUMENT, "samples: 0 is less than 1");
  if (test_device().type != DeviceType::cpu) return;                     // slow there
  CHECK_OK(g2s_generator_mean_latent(generator, 5, 100000, &many_out));  // in parts
  random.seek(0);
  CHECK(rel_error(of_many, same.mean_latent(random, 100000).reshape({tiny_latent})) < 1e-5);
}

TEST_CASE("C interface: latents and pictures in other types of elements and other strides") {
  const CContext context;
  const TinyGenerator generator(context);
  const Tensor w = latents(false), dpicture = hashed_input("capi/dpicture", picture_shape);
  for (DType dtype : {DType::f64, DType::f16, DType::bf16}) {
    const Tensor stored = w.to(dtype), dy = dpicture.to(dtype), picture = Tensor::empty(picture_shape, dtype),
                 dw = Tensor::empty(w.shape(), dtype);
    const Drawn want = draw(generator.path(), stored.to(DType::f32), dy.to(DType::f32));
    const g2s_array in = array_of(stored), dy_in = array_of(dy), y_out = array_of(picture), dw_out = array_of(dw);
    CHECK_OK(g2s_generator_vjp(generator, &in, &dy_in, &y_out, &dw_out));
    CHECK(same_bits(picture, want.picture.to(dtype)));
    CHECK(same_bits(dw, want.gradient.to(dtype)));
  }
  const Drawn want = draw(generator.path(), w, dpicture);
  // w in columns, read backwards; the picture with its channels first.
  Tensor columns = Tensor::empty({tiny_latent, 2}), planes = Tensor::empty({2, 3, tiny_size, tiny_size});
  for (std::int64_t b = 0; b < 2; ++b)
    for (std::int64_t i = 0; i < tiny_latent; ++i)
      columns.mutable_data<float>()[2 * (tiny_latent - 1 - i) + b] = w.data<float>()[b * tiny_latent + i];
  g2s_array in = array_of(w), out = array_of(planes);
  in.data = columns.mutable_data<float>() + 2 * (tiny_latent - 1);
  in.strides[0] = 1, in.strides[1] = -2;
  const std::int64_t plane = tiny_size * tiny_size, shape[] = {2, tiny_size, tiny_size, 3}, strides[] = {3 * plane, tiny_size, 1, plane};
  std::copy(shape, shape + 4, out.shape);
  std::copy(strides, strides + 4, out.strides);
  CHECK_OK(g2s_generator_picture(generator, &in, &out));
  CHECK(same_bits(permute(planes, {0, 2, 3, 1}), want.picture));
  const Tensor bytes = Tensor::empty(picture_shape, DType::u8);
  const g2s_array straight = array_of(w), bytes_out = array_of(bytes);
  CHECK_OK(g2s_generator_picture(generator, &straight, &bytes_out));
  CHECK(same_bits(bytes, image_to_pixels(want.picture)));
}

TEST_CASE("C interface: one picture without its batch, and none at all") {
  const CContext context;
  const TinyGenerator generator(context);
  const Tensor w = latents(false), one = slice(w, 0, 0, 1), picture = Tensor::empty({tiny_size, tiny_size, 3}),
               batched = Tensor::empty({1, tiny_size, tiny_size, 3});
  const g2s_array in = array_of(one), out = array_of(picture), batched_out = array_of(batched);
  CHECK_OK(g2s_generator_picture(generator, &in, &out));
  CHECK_OK(g2s_generator_picture(generator, &in, &batched_out));
  CHECK(same_bits(picture, batched.reshape(picture.shape())));
  const std::int64_t no_latents[] = {0, tiny_latent}, no_pictures[] = {0, tiny_size, tiny_size, 3};
  const g2s_array nothing = g2s_array_of(nullptr, G2S_F32, 2, no_latents), no_picture = g2s_array_of(nullptr, G2S_F32, 4, no_pictures);
  CHECK_OK(g2s_generator_picture(generator, &nothing, &no_picture));
  CHECK_OK(g2s_generator_vjp(generator, &nothing, &no_picture, &no_picture, &nothing));
  CHECK_OK(g2s_generator_mapping(generator, &nothing, &nothing));
}

TEST_CASE("C interface: what does not fit the generator is refused, by name") {
  const CContext context;
  const TinyGenerator generator(context);
  const Tensor w = latents(false), picture = Tensor::empty(picture_shape), short_w = Tensor::empty({2, tiny_latent - 1}),
               bytes = Tensor::zeros(picture_shape, DType::u8);
  const g2s_array in = array_of(w), out = array_of(picture), wrong = array_of(short_w), u8 = array_of(bytes);
  check_fails(g2s_generator_picture(generator, nullptr, &out), G2S_INVALID_ARGUMENT, "w: is null");
  check_fails(g2s_generator_picture(generator, &in, nullptr), G2S_INVALID_ARGUMENT, "picture: is null");
  check_fails(g2s_generator_picture(generator, &wrong, &out), G2S_SHAPE_MISMATCH, "w: is [2,15], expected [B,16] or [B,4,16]");
  check_fails(g2s_generator_picture(generator, &in, &in), G2S_SHAPE_MISMATCH, "picture: is [2,16], expected [2,8,8,3]");
  check_fails(g2s_generator_picture(generator, &u8, &out), G2S_SHAPE_MISMATCH, "w: is u8, not f32, f64, f16 or bf16");
  check_fails(g2s_generator_mapping(generator, &wrong, &wrong), G2S_SHAPE_MISMATCH, "z: is [2,15], expected [B,16]");
  check_fails(g2s_generator_mapping(generator, &in, &out), G2S_SHAPE_MISMATCH, "w: is [2,8,8,3], expected [2,16]");
  check_fails(g2s_generator_mean_latent(generator, 0, 1, &in), G2S_SHAPE_MISMATCH, "w: is [2,16], expected [16] or [1,16]");
  check_fails(g2s_generator_vjp(generator, &in, &u8, nullptr, &in), G2S_SHAPE_MISMATCH, "dpicture: is u8, not f32, f64, f16 or bf16");
  check_fails(g2s_generator_vjp(generator, &in, &out, &in, &in), G2S_SHAPE_MISMATCH, "picture: is [2,16], expected [2,8,8,3]");
  check_fails(g2s_generator_vjp(generator, &in, &out, nullptr, &out), G2S_SHAPE_MISMATCH, "dw: is [2,8,8,3], expected [2,16]");
  check_fails(g2s_generator_vjp(generator, &in, &out, nullptr, nullptr), G2S_INVALID_ARGUMENT, "dw: is null");
  g2s_generator none = generator;
  const TemporaryFolder folder;
  const std::string absent = folder / "absent.safetensors";
  check_fails(g2s_generator_load(context, absent.c_str(), &none), G2S_IO, absent + ": does not exist");
  CHECK(none == nullptr);
  check_fails(g2s_generator_load(context, generator.path().c_str(), nullptr), G2S_INVALID_ARGUMENT, "generator: is null");
  const std::string text = source_path("README.md");
  CHECK(g2s_generator_load(context, text.c_str(), &none) == G2S_FORMAT);
  CHECK(std::string(g2s_last_error()).rfind(text, 0) == 0);
  const std::string other = source_path("assets/lpips_vgg.safetensors");
  CHECK(g2s_generator_load(context, other.c_str(), &none) != G2S_OK);
  CHECK(std::string(g2s_last_error()).find(other) != std::string::npos);
}

TEST_CASE("C interface: more than there is memory for") {
  const CContext context;
  const TinyGenerator generator(context);
  float one = 0;
  const std::int64_t shape[] = {std::int64_t{1} << 40, tiny_latent};
  g2s_array w = g2s_array_of(&one, G2S_F32, 2, shape);
  w.strides[0] = w.strides[1] = 0;  // a view of one number
  g2s_array out = w;
  out.strides[0] = tiny_latent, out.strides[1] = 1;
  CHECK(g2s_generator_mapping(generator, &w, &out) == G2S_OUT_OF_MEMORY);
}

TEST_CASE("C interface: two contexts in two threads give the bits of one after the other") {
  g2s_context_options usual = CContext::usual(), other = CContext::usual();
  other.threads = 3;
  other.precision = other_precision();
  const CContext a(usual), b(other);
  const TinyGenerator in_a(a), in_b(b);
  const Tensor w = latents(true), dpicture = hashed_input("capi/dpicture", picture_shape);
  const Drawn alone[] = {draw_in_c(in_a, w, dpicture), draw_in_c(in_b, w, dpicture)};
  ContextOptions as_b = usual_options();
  as_b.settings.precision = precision_for(other.precision, as_b.device);
  CHECK(same(alone[1], draw(in_b.path(), w, dpicture, as_b)));
  for (int round = 0; round < 5; ++round) {
    Drawn beside[2];
    std::thread second([&] { beside[1] = draw_in_c(in_b, w, dpicture); });
    beside[0] = draw_in_c(in_a, w, dpicture);
    second.join();
    for (int i : {0, 1}) CHECK(same(beside[i], alone[i]));
  }
}

TEST_CASE("C interface: several threads use one generator, and a C++ program in the midst of its own work") {
  const CContext context;
  const TinyGenerator generator(context);
  const Tensor w = latents(false), dpicture = hashed_input("capi/dpicture", picture_shape);
  const Drawn want = draw_in_c(generator, w, dpicture);
  std::vector<Drawn> found(3);
  std::vector<std::thread> threads;
  for (Drawn& f : found) threads.emplace_back([&] { f = draw_in_c(generator, w, dpicture); });
  for (std::thread& t : threads) t.join();
  for (const Drawn& f : found) CHECK(same(f, want));
  Context other({.settings = {.threads = 1, .precision = Precision::bf16}});
  const UseContext in(other);
  const NoGrad no_grad;
  CHECK(same(draw_in_c(generator, w, dpicture), want));
  CHECK(&Context::current() == &other);
  CHECK_FALSE(grad_enabled());
}
