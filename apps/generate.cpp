#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/definitions.h"
#include "apps/progress.h"
#include "engine/files.h"
#include "engine/image.h"
#include "engine/json_text.h"
#include "engine/npy.h"
#include "engine/shown.h"
#include "kernels/precision.h"
#include "kernels/shape/shape.h"
#include "models/drawing.h"
#include "models/gan2shape/config.h"
#include "weights_converter/latents.h"

namespace g2s::app {
namespace {

struct Options {
  std::string weights, preset = "default", latent, out, precision = "f32";
  std::int64_t count = 16;
  bool count_given = false;
  std::uint64_t seed = 0;
  double truncation = 1;
  bool raw = false, force = false, json = false, quiet = false;
  MachineOptions machine;
};

std::string numbered(const std::string& folder, std::int64_t i) {
  std::ostringstream name;
  name << folder << '/' << std::setw(4) << std::setfill('0') << i << ".png";
  return name.str();
}

std::string raw_file(const Options& o) { return o.out + "/images.npy"; }

std::vector<std::string> paths_of(const Options& o, std::int64_t count) {
  if (o.raw) return {raw_file(o)};
  std::vector<std::string> out;
  for (std::int64_t i = 0; i < count; ++i) out.push_back(numbered(o.out, i));
  return out;
}

Tensor stored_latents(const Options& o, const Generator& generator, ProgressPrinter& progress) {
  const std::int64_t wanted = o.count_given ? o.count : 0;
  const convert::StoredLatents stored = convert::read_latents(o.latent, {generator.style_dim(), generator.latents()}, wanted);
  for (const std::string& note : stored.notes) progress.note(o.latent + ": " + note);
  if (wanted > 0 && wanted != stored.count())
    fail(Errc::invalid_argument, o.latent, "holds ", stored.count(), stored.count() == 1 ? " latent" : " latents", ", --count wants ",
         wanted);
  return stored.latents;
}

// [N,D] or [N,L,D]
Tensor make_latents(const Options& o, const Generator& generator, ProgressPrinter& progress) {
  const Tensor w = o.latent.empty() ? random_latents(generator, o.count, o.seed) : stored_latents(o, generator, progress);
  return truncated_latents(generator, w, o.truncation, o.seed);
}

std::unique_ptr<Generator> load_on_device(const std::string& path) {
  const DefaultDevice guard(Context::current().options().device);
  return load_generator(SafetensorsFile(path));
}

void check_options(const Options& o) {
  if (o.raw && o.truncation < 1) throw CLI::ValidationError("--truncation", "--raw writes pictures without truncation");
}

int run(const Options& o) {
  ProgressPrinter progress(std::cerr, o.quiet ? ProgressPrinter::Style::quiet : ProgressPrinter::Style::automatic);
  const CommandContext context(context_options(o.machine, DeviceSupport::any, o.precision), progress);
  check_options(o);
  const WeightPaths paths = find_weights(weight_source(o.weights), o.preset, {.generator = true});
  require_writable_folder(o.out);
  const std::unique_ptr<Generator> loaded = load_on_device(paths.generator);
  const Generator& generator = *loaded;
  const Tensor w = make_latents(o, generator, progress);
  const std::int64_t n = w.dim(0), size = generator.size();
  for (const std::string& path : paths_of(o, n)) require_free(path, o.force);
  make_folders(o.out);
  Tensor all = o.raw ? Tensor::empty({n, size, size, 3}) : Tensor();
  nlohmann::json files = nlohmann::json::array();
  draw_images(generator, w, [&](std::int64_t first, const Tensor& images) {
    const std::int64_t count = images.dim(0);
    if (o.raw) std::copy_n(images.data<float>(), images.numel(), all.mutable_data<float>() + first * (all.numel() / n));
    for (std::int64_t i = 0; !o.raw && i < count; ++i) {
      files.push_back(numbered(o.out, first + i));
      write_png(files.back(), image_to_pixels(slice(images, 0, i, i + 1)));
    }
  });
  progress.clear();
  if (o.raw) {
    files.push_back(raw_file(o));
    write_npy(files.back(), all);
  }
  write_npy(o.out + "/latents.npy", w.to(Device{}));
  if (o.json) {
    std::cout << json_text({{"files", files}, {"pictures", n}, {"size", size}, {"generator", paths.generator}, {"precision", o.precision}})
              << '\n';
  } else {
    const std::string where = o.raw ? files.back().get<std::string>() : o.out;
    std::cout << n << (n == 1 ? " picture of " : " pictures of ") << size << " x " << size << " pixels in " << shown(where) << '\n';
  }
  return 0;
}

}  // namespace

Command add_generate(CLI::App& app) {
  auto o = std::make_shared<Options>();
  app.add_option("-o,--out", o->out, "Folder for the pictures, 0000.png and so on, and latents.npy, which --latent takes")->type_name("DIR")->required();
  app.add_option("--latent", o->latent,
                 "Latents to draw: a file of this program or of another tool (.safetensors, .npy, .npz, .pt), [512], [N,512] or [N,L,512]; "
                 "else random ones")
      ->type_name("FILE");
  app.add_option("--count", o->count, "How many pictures, of random latents or of those in the file")
      ->type_name("N")
      ->check(whole_number(1, 100000))
      ->capture_default_str()
      ->each([o](const std::string&) { o->count_given = true; });
  app.add_option("--seed", o->seed, "Seed of the random pictures")->type_name("N")->check(whole_number(0, UINT64_MAX))->capture_default_str();
  app.add_option("--truncation", o->truncation, "Below 1: draw latents towards the mean one")
      ->type_name("PSI")
      ->check(number(0, 1))
      ->capture_default_str();
  app.add_flag("--raw", o->raw, "Write the pictures unclipped, without truncation, as OUT/images.npy, float32 [N,H,W,3]");
  app.add_option("--weights", o->weights, "Folder with stylegan2_g or mobilestylegan .safetensors; else the program's own, for the preset default")->type_name("DIR");
  app.add_option("--preset", o->preset, "Whose generator it is")->type_name("NAME")->check(one_of(preset_names()))->capture_default_str();
  add_force_option(app, o->force);
  app.add_flag("--json", o->json, "Print the result as JSON");
  app.add_flag("-q,--quiet", o->quiet, "Show no progress");
  group(app, Part::input, {"--preset", "--weights", "--latent", "--count", "--seed", "--truncation"});
  group(app, Part::results, {"--out", "--raw", "--json"});
  group(app, Part::messages, {"--quiet"});
  add_precision_option(app, o->precision);
  add_machine_options(app, o->machine);
  return [o] { return run(*o); };
}

}  // namespace g2s::app
