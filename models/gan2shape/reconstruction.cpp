#include "models/gan2shape/reconstruction.h"

#include <algorithm>
#include <cmath>

#include "engine/accelerator.h"
#include "engine/context.h"
#include "engine/files.h"
#include "engine/hash.h"
#include "engine/precision.h"
#include "models/gan2shape/face_input.h"
#include "models/face/report.h"
#include "models/gan2shape/result.h"
#include "models/u2netp.h"

namespace g2s {
namespace {

constexpr int discriminator_blocks = 4;  // that step 2 compares
constexpr std::int64_t encoder_width = 512;  // of the offsets that the method's encoder gives

std::unique_ptr<StyleGan2Discriminator> load_discriminator(const std::string& path) {
  auto loaded = std::make_unique<StyleGan2Discriminator>(StyleGan2Discriminator::load(SafetensorsFile(path)));
  const int blocks = loaded->config().blocks();
  if (blocks < discriminator_blocks) fail(Errc::format, path, "has ", blocks, " residual blocks, the method needs ", discriminator_blocks);
  return loaded;
}

void load_networks(Reconstructor& r) {
  const DefaultDevice guard(r.device);
  r.generator = load_generator(SafetensorsFile(r.weights.generator));
  if (!r.weights.discriminator.empty()) r.discriminator = load_discriminator(r.weights.discriminator);
  r.lpips = std::make_unique<Lpips>(SafetensorsFile(r.weights.lpips));
  if (!r.weights.directions.empty()) r.directions = std::make_unique<PoseDirections>(PoseDirections::load(SafetensorsFile(r.weights.directions)));
  if (const std::int64_t width = r.generator->style_dim(); width != encoder_width) {
    fail(Errc::unsupported, r.weights.generator, "the generator's style is ", width, " numbers wide; a fit takes ", encoder_width,
         ", other widths only draw pictures");
  }
  if (r.weights.depth_prior.empty()) return;
  r.depth_prior = std::make_unique<SafetensorsFile>(r.weights.depth_prior);
  const DefaultDevice host{Device{}};
  Networks(r.config).netD.load(*r.depth_prior, "netD.");  // throws where a tensor does not fit
}

Identity shared_identity(const Reconstructor& r) {
  Identity out = {{"generator", sha256_file(r.weights.generator)},
                  {"discriminator", r.discriminator ? sha256_file(r.weights.discriminator) : ""},
                  {"LPIPS weights", sha256_file(r.weights.lpips)},
                  {"depth prior", r.depth_prior ? sha256_file(r.weights.depth_prior) : ""},
                  {"--crop", to_string(r.settings.crop)},
                  {"--precision", to_string(precision())}};
  if (r.directions) out["pose directions"] = sha256_file(r.weights.directions);
  if (r.faces) out["align"] = r.settings.align;
  if (r.device.type != DeviceType::cpu) out["--device"] = str(r.device);  // rounds otherwise
  return out;
}

std::string mask_weights(const Reconstructor& r) { return find_weights(r.source, r.settings.preset, {.u2netp = true}).u2netp; }

// `picture` and `mask` are hashes; none: no mask was given.
Identity identity_with(const Reconstructor& r, const std::string& picture, const std::string& mask, const Tensor& latent) {
  Identity out = r.identity;
  out["picture"] = picture;
  out["mask"] = mask;
  out["mask network"] = mask.empty() ? sha256_file(mask_weights(r)) : "";
  out["latent"] = latent ? sha256(latent) : "";
  if (r.faces) out["face"] = r.settings.face;
  return out;
}

MaskFinder object_finder(const Reconstructor& r) {
  return [&r](const Tensor& image) {
    const WithPrecision exact(Precision::f32);  // every precision shall fit the same object
    return U2NetP(SafetensorsFile(mask_weights(r))).mask(image);
  };
}

const std::string& face_of(const Reconstructor& r, const InputFiles& files) { return files.face.empty() ? r.settings.face : files.face; }

// The picture as the frame that it is said to be, with the face that is found in it.
LoadedInput as_frame(const Reconstructor& r, LoadedInput input) {
  const std::vector<Face> faces = choose_faces((*r.faces)(input.image.rgb), face_of(r, input.names), input.names.image);
  if (faces.empty()) return input;
  const double w = static_cast<double>(input.image.width()), h = static_cast<double>(input.image.height());
  if (w != h) fail(Errc::invalid_argument, input.names.image, "is not square, which a face's frame is; set `align` to auto");
  input.face = faces.front();
  input.face->frame = {Point{0, 0}, Point{0, h}, Point{w, h}, Point{w, 0}};
  return input;
}

// A face's frame is cut from the picture first; its mask is that of the landmarks, unless one is given.
PreparedInput prepared_face(const Reconstructor& r, const LoadedInput& input) {
  const DefaultDevice host{Device{}};
  const std::string& which = face_of(r, input.names);
  if (which == "all") fail(Errc::invalid_argument, "face", "a fit is of one face: largest, or a number");
  const LoadedInput aligned = r.settings.align == "off" ? as_frame(r, input) : align_input(input, *r.faces, which).front();
  if (!aligned.face) {
    PreparedInput out = prepare_input(aligned, r.config, CropMode::automatic, object_finder(r));
    out.notes.push_back("no face was found: it is taken to look straight ahead");
    return out;
  }
  auto mask_of = [&](double growth) { return [&, growth](const Tensor& image) { return face_mask(*aligned.face, image.dim(0), growth); }; };
  PreparedInput out = prepare_input(aligned, r.config, CropMode::automatic, mask_of(1));
  if (!aligned.mask) {
    out.mask_source = "landmarks";
    out.wide_mask = found_in_box(aligned, out.box, r.config.size, mask_of(r.config.mask_growth));
  }
  return out;
}

PreparedInput prepared(const Reconstructor& r, const LoadedInput& input) {
  if (r.faces) return prepared_face(r, input);
  return prepare_input(input, r.config, r.settings.crop, object_finder(r));
}

}  // namespace

Reconstructor load_reconstructor(const ReconstructionSettings& settings, const WeightSource& source) {
  if (!(settings.scale > 0 && settings.scale <= 10)) fail(Errc::invalid_argument, "scale", settings.scale, " is not between 0 and 10");
  if (settings.align != "auto" && settings.align != "off") fail(Errc::invalid_argument, "align", "'", settings.align, "' is neither auto nor off");
  if (settings.size != 0 && settings.size != 64 && settings.size != 128) fail(Errc::invalid_argument, "size", settings.size, " is neither 64 nor 128");
  Reconstructor r;
  r.settings = settings;
  r.device = Context::current().options().device;
  r.source = source;
  r.config = preset(settings.preset);
  if (settings.size > 0) r.config.size = settings.size;
  if (!settings.views.empty()) set_views(r.config, view_source_from_name(settings.views));
  const bool directions = r.config.views == ViewSource::directions, faces = directions || settings.preset == "ffhq";
  r.weights = find_weights(source, settings.preset,
                           {.generator = true,
                            .discriminator = !faces,
                            .lpips = true,
                            .depth_prior = settings.quality != Quality::paper,
                            .faces = faces,
                            .directions = directions,
                            .any_discriminator = faces});
  load_networks(r);
  if (faces) r.faces = std::make_unique<FaceFinder>(SafetensorsFile(r.weights.face_detector), SafetensorsFile(r.weights.face_landmarks));
  r.config.gan_size = r.generator->size();  // the method takes any size of images from the generator
  apply_quality(r.config, settings.quality, r.depth_prior != nullptr);
  scale_schedule(r.config, settings.scale);
  const MemoryPlan plan = plan_memory(r.config, r.generator->memory(), r.discriminator ? r.discriminator->config() : DiscriminatorConfig{},
                                      settings.memory_limit, r.device.type);
  r.identity = shared_identity(r);
  if (plan.in_parts(r.config)) r.identity["--memory-limit"] = plan.parts();
  if (r.device.type != DeviceType::cpu) accelerator(r.device, "reconstruct").synchronize();  // other threads shall see the weights
  return r;
}

Identity identity_of(const Reconstructor& r, const InputFiles& files, const Tensor& latent) {
  Identity out = identity_with(r, sha256_file(files.image), files.mask.empty() ? "" : sha256_file(files.mask), latent);
  if (r.faces) out["face"] = face_of(r, files);
  if (!files.truth.empty()) out["truth"] = sha256_file(files.truth);
  return out;
}

Identity identity_of(const Reconstructor& r, const InputPixels& pixels, const Tensor& latent) {
  const std::string rgb = sha256(pixels.rgb), picture = pixels.alpha ? sha256(rgb + sha256(pixels.alpha)) : rgb;
  return identity_with(r, picture, pixels.mask ? sha256(pixels.mask) : "", latent);
}

ReconstructionJob prepare_job(const Reconstructor& r, const InputFiles& files, const Tensor& latent) {
  return {files, latent, prepared(r, load_input(files)), identity_of(r, files, latent)};
}

ReconstructionJob prepare_job(const Reconstructor& r, const InputPixels& pixels, const Tensor& latent) {
  return {{}, latent, prepared(r, load_input(pixels)), identity_of(r, pixels, latent)};
}

namespace {
FitOptions with_job(const Reconstructor& r, const ReconstructionJob& job, FitOptions options) {
  options.seed = r.settings.seed;
  options.memory_limit = r.settings.memory_limit;
  options.depth_prior = r.depth_prior.get();
  options.directions = r.directions.get();
  options.faces = r.faces.get();
  options.identity = job.identity;
  options.identity.erase("truth");  // it only measures: a fit may go on with another
  return options;
}
}  // namespace

std::unique_ptr<Fit> start_fit(const Reconstructor& r, const ReconstructionJob& job, const FitOptions& options, const std::string& resume_from) {
  const PreparedInput& in = job.input;
  const DefaultDevice guard(r.device);
  FitInput input{in.image, in.mask, in.wide_mask, in.original_size, job.latent, {}, {}, in.truth};
  if (in.face) input.pose = pose_of(*in.face), input.landmarks = landmark_places(*in.face, used_corners(in));
  auto fit = std::make_unique<Fit>(r.config, *r.generator, r.discriminator.get(), *r.lpips, input, with_job(r, job, options));
  if (!resume_from.empty()) fit->resume(resume_from);
  return fit;
}

void require_resumable(const Reconstructor& r, const ReconstructionJob& job, const std::string& state_path) {
  const DefaultDevice guard(r.device);
  require_resumable(state_path, r.config, *r.generator, r.discriminator.get(), with_job(r, job, {}));
}

nlohmann::json write_result(const Reconstructor& r, const ReconstructionJob& job, const Fit& fit, const FitResult& result, const std::string& folder,
                            const nlohmann::json& more) {
  FitResults results(result, fit.method(), pixels_to_image(job.input.photo));
  return write_result(r, job, results, folder, more);
}

nlohmann::json write_result(const Reconstructor& r, const ReconstructionJob& job, FitResults& results, const std::string& folder,
                            const nlohmann::json& more) {
  require_result_or_nothing(folder);
  AtomicFolder made(folder);
  results.write(made.temporary());
  nlohmann::json out = result_json(r, job, results.fit(), results.report());
  out.merge_patch(more);
  write_file(made.temporary() + "/result.json", result_text(out) + "\n");
  check_cancelled(folder);
  made.commit();
  return out;
}

void scale_schedule(Config& config, double factor) {
  if (factor == 1) return;
  auto scale = [&](int& count) { count = std::max(1, static_cast<int>(std::lround(count * factor))); };
  for (StageLength* length : {&config.first_stage, &config.later_stages})
    for (int* count : {&length->step1, &length->step2, &length->step3}) scale(*count);
  scale(config.prior_iterations);
  scale(config.projection.w_iterations);
  scale(config.projection.w_plus_iterations);
  scale(config.collect);
  config.collect = std::max(2, config.collect);  // step 3 skips the first batch
}

}  // namespace g2s
