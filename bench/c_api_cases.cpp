// What a call through the C interface costs beside the same call in C++: a generator so small that little else is left.
#include <filesystem>
#include <memory>
#include <string>

#include <unistd.h>

#include "bench/network_cases.h"
#include "engine/autograd.h"
#include "engine/context.h"
#include "engine/error.h"
#include "gan2shape/gan2shape.h"
#include "models/hashed_weights.h"

namespace g2s::bench {
namespace {

constexpr int size = 8;
constexpr std::int64_t latent = 16;

// In a file, as both load it.
class TinyGenerator {
 public:
  TinyGenerator() : path_(std::filesystem::temp_directory_path() / ("g2s_bench_" + std::to_string(getpid()) + ".safetensors")) {
    GeneratorConfig config;
    config.size = size;
    config.style_dim = latent;
    config.mapping_layers = 2;
    config.channels = {16, 8};
    ParameterMap parameters = generator_parameters(config);
    fill_hashed_generator(parameters, 1);
    write_safetensors(path_, parameters.to_checkpoint());
  }
  ~TinyGenerator() { std::filesystem::remove(path_); }
  TinyGenerator(const TinyGenerator&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void succeed(g2s_status status) {
  if (status != G2S_OK) fail(Errc::internal, "capi_picture", g2s_last_error());
}

// Of the same settings as this thread's.
struct InC {
  InC() {
    g2s_context_options options;
    g2s_context_options_init(&options);
    const std::string device = str(Context::current().options().device);
    options.threads = settings().threads;
    options.device = device.c_str();
    options.precision = to_string(precision());
    succeed(g2s_context_new(&options, &context));
    succeed(g2s_generator_load(context, TinyGenerator().path().c_str(), &generator));
  }
  ~InC() {
    g2s_generator_free(generator);
    g2s_context_free(context);
  }
  InC(const InC&) = delete;

  g2s_context context = nullptr;
  g2s_generator generator = nullptr;
  Tensor w = Random(1, "w").normal({1, latent}).to(Device{}), picture = Tensor::empty({1, size, size, 3}, DType::f32, Device{});
};

g2s_array view(const Tensor& t) { return g2s_array_of(const_cast<void*>(t.raw()), G2S_F32, t.rank(), t.shape().begin()); }

// A repetition is many pictures: one alone is too short to be compared.
constexpr int pictures = 1000;

template <class Draw>
Body repeated(Draw draw) {
  Body body = [=] {
    for (int i = 0; i < pictures; ++i) draw();
  };
  body.facts = {{"pictures", pictures}};
  return body;
}

Body picture_in_c() {
  auto in_c = std::make_shared<InC>();
  return repeated([=] {
    const g2s_array w = view(in_c->w), picture = view(in_c->picture);
    succeed(g2s_generator_picture(in_c->generator, &w, &picture));
  });
}

Body picture_in_cpp() {
  auto generator = std::make_shared<StyleGan2Generator>(StyleGan2Generator::load(SafetensorsFile(TinyGenerator().path())));
  const Tensor w = Random(1, "w").normal({1, latent});
  return repeated([=] {
    const NoGrad no_grad;
    generator->synthesis(w);
  });
}

}  // namespace

std::map<std::string, Setup> c_api_cases() {
  return {{"capi_picture", [] { return picture_in_c(); }}, {"cpp_picture", [] { return picture_in_cpp(); }}};
}

}  // namespace g2s::bench
