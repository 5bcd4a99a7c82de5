#include "bench/schedule.h"

#include <algorithm>
#include <chrono>

#include "bench/network_cases.h"
#include "engine/context.h"
#include "engine/allocator.h"
#include "models/gan2shape/reconstruction.h"

namespace g2s::bench {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Times phases as they report. Losses are read after each iteration, so that a report comes when the device has done its work.
class Stopwatch {
 public:
  void see(const FitProgress& p) {
    const double now = seconds_since(begin_);
    if (rows_.empty() || rows_.back()["phase"] != to_string(p.phase) || rows_.back()["stage"] != p.stage) {
      rows_.push_back({{"phase", to_string(p.phase)}, {"stage", p.stage}, {"iterations", p.iterations}, {"done", 0}, {"seconds", 0.0}});
      warm_ = {now, p.iteration};  // the first iteration is not counted: what belongs to the start of a phase is in it
      spent_ = now - last_;
    } else {
      spent_ += now - last_;
    }
    json& row = rows_.back();
    row["done"] = p.iteration;
    row["seconds"] = spent_;
    if (p.iteration > warm_.second) row["seconds_per_iteration"] = (now - warm_.first) / (p.iteration - warm_.second);
    last_ = now;
    left_ = p.seconds_left;
  }
  double seconds() const { return seconds_since(begin_); }
  double left() const { return left_; }
  const json& rows() const { return rows_; }

 private:
  Clock::time_point begin_ = Clock::now();
  json rows_ = json::array();
  std::pair<double, int> warm_;
  double last_ = 0, spent_ = 0, left_ = 0;
};

}  // namespace

json time_schedule(const ScheduleOptions& o) {
  const DefaultDevice guard(o.device);
  Config config = preset(o.preset);
  scale_schedule(config, o.scale);
  const StyleGan2Generator generator = random_generator(config.gan_size);
  const StyleGan2Discriminator discriminator = random_discriminator(config.gan_size);
  const Lpips lpips(SafetensorsFile(o.assets + "/lpips_vgg.safetensors"));
  FitInput input;
  input.image = random_images(1, config.size, "input");
  input.mask = Tensor::full({1, config.size, config.size, 1}, 1);
  input.original_size = std::max(config.crop, config.size);
  Stopwatch watch;
  FitOptions options;
  options.progress = [&](const FitProgress& p) {
    watch.see(p);
    if (o.seconds > 0 && watch.seconds() > o.seconds) Context::current().cancel();
  };
  bool finished = true;
  try {
    Fit(config, generator, &discriminator, lpips, input, options).run();
  } catch (const Error& error) {
    if (error.code() != Errc::cancelled) throw;
    finished = false;
  }
  const double spent = watch.seconds();
  return {{"preset", o.preset},
          {"device", str(o.device)},
          {"scale", o.scale},
          {"finished", finished},
          {"seconds", spent},
          {"seconds_expected", finished ? spent : spent + watch.left()},
          {"peak_tensors_mib", static_cast<double>(allocator(o.device).stats().peak) / (1 << 20)},
          {"phases", watch.rows()}};
}

}  // namespace g2s::bench
