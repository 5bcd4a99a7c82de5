#include "models/gan2shape/mask_file.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "engine/autograd.h"
#include "engine/image.h"
#include "kernels/resize/resize.h"

namespace g2s {
namespace {

constexpr double solid = 0.7;    // a mask is nowhere the object unless it is that bright somewhere
constexpr int most_labels = 64;  // grey values up to that are labels: real masks are brighter
constexpr std::size_t most_colours = 256;
constexpr int grey_tolerance = 16;    // of a JPEG's colours
constexpr double border_share = 0.5;  // of the border: more object there makes a mask look inverted

struct Values {
  std::vector<std::int32_t> numbers;  // one for each pixel
  std::int32_t top = 255;
};

std::int32_t at(const Tensor& pixels, std::int64_t i) {
  return pixels.dtype() == DType::u8 ? pixels.data<std::uint8_t>()[i] : pixels.data<std::int32_t>()[i];
}

Values channel(const RawImage& raw, std::int64_t c) {
  Values out{{}, raw.info.bit_depth == 16 ? 65535 : 255};
  const std::int64_t n = raw.pixels.dim(1) * raw.pixels.dim(2), channels = raw.pixels.dim(3);
  out.numbers.resize(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) out.numbers[static_cast<std::size_t>(i)] = at(raw.pixels, i * channels + c);
  return out;
}

class MaskReader {
 public:
  explicit MaskReader(const std::string& path) : path_(path), raw_(read_raw_image(path)) {}

  MaskFile read() {
    if (raw_.info.has_alpha()) {
      const Values alpha = channel(raw_, raw_.info.channels - 1);
      if (std::any_of(alpha.numbers.begin(), alpha.numbers.end(), [&](std::int32_t v) { return v != alpha.top; })) return by_alpha(alpha);
    }
    if (!raw_.info.grey() && has_colours()) return by_colour();
    return by_grey();
  }

 private:
  template <class... Parts> [[noreturn]] void refuse(const Parts&... parts) const {
    fail(Errc::invalid_argument, path_, parts..., "; `mask` takes a picture that is white where the object is");
  }

  MaskFile made(const std::function<float(std::size_t)>& value, std::vector<std::string> notes) const {
    MaskFile out{Tensor::empty({1, raw_.pixels.dim(1), raw_.pixels.dim(2), 1}, DType::f32, Device{}), std::move(notes)};
    float* to = out.mask.mutable_data<float>();
    for (std::int64_t i = 0; i < out.mask.numel(); ++i) to[i] = value(static_cast<std::size_t>(i));
    note_border(out);
    return out;
  }

  MaskFile by_alpha(const Values& alpha) const {
    const std::int32_t largest = *std::max_element(alpha.numbers.begin(), alpha.numbers.end());
    if (largest < solid * alpha.top)
      refuse("its alpha channel, which counts where a mask has one, is ", largest, " of ", alpha.top, " at most: it is empty");
    return made([&](std::size_t i) { return static_cast<float>(alpha.numbers[i]) / static_cast<float>(alpha.top); },
                {"the mask's alpha channel is what counts"});
  }

  bool has_colours() const {
    const std::int64_t n = raw_.pixels.dim(1) * raw_.pixels.dim(2), c = raw_.pixels.dim(3);
    const int tolerance = grey_tolerance * (raw_.info.bit_depth == 16 ? 257 : 1);
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int32_t r = at(raw_.pixels, i * c), g = at(raw_.pixels, i * c + 1), b = at(raw_.pixels, i * c + 2);
      if (std::max({r, g, b}) - std::min({r, g, b}) > tolerance) return true;
    }
    return false;
  }

  MaskFile by_colour() const {
    const std::int64_t n = raw_.pixels.dim(1) * raw_.pixels.dim(2), c = raw_.pixels.dim(3);
    std::set<std::int64_t> colours;
    std::vector<std::int64_t> of(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) {
      of[static_cast<std::size_t>(i)] =
          std::int64_t{at(raw_.pixels, i * c)} << 32 | std::int64_t{at(raw_.pixels, i * c + 1)} << 16 | at(raw_.pixels, i * c + 2);
      if (colours.size() <= most_colours) colours.insert(of[static_cast<std::size_t>(i)]);
    }
    if (colours.size() > most_colours) refuse("it has more than ", most_colours, " colours, as a photograph has");
    if (!colours.count(0)) refuse("it has ", colours.size(), " colours and no black, so that there is no telling what is not the object");
    return made([&](std::size_t i) { return of[i] == 0 ? 0.f : 1.f; },
                {str("the mask has ", colours.size(), " colours: everything but black is the object")});
  }

  MaskFile by_grey() const {
    const Values grey = channel(raw_, raw_.info.grey() ? 0 : 1);  // of almost equal colours green has the least noise
    const std::set<std::int32_t> levels(grey.numbers.begin(), grey.numbers.end());
    const std::int32_t largest = *levels.rbegin();
    const float top = static_cast<float>(grey.top);
    if (largest == 0) refuse("it is empty: it is black everywhere");
    if (levels.size() == 2 && *levels.begin() == 0 && largest < grey.top)
      return made([&](std::size_t i) { return grey.numbers[i] ? 1.f : 0.f; },
                  {str("the mask has the values 0 and ", largest, " of ", grey.top, ": the brighter one is the object")});
    if (levels.size() > 2 && *levels.begin() == 0 && largest <= most_labels)
      return made([&](std::size_t i) { return grey.numbers[i] ? 1.f : 0.f; },
                  {str("the mask has the ", levels.size(), " values 0 to ", largest, " of ", grey.top,
                       ", taken as labels: everything but 0 is the object")});
    if (largest < solid * grey.top)
      refuse("its brightest value is ", largest, " of ", grey.top, ": it is nowhere white, nor are there just two values");
    return made([&](std::size_t i) { return static_cast<float>(grey.numbers[i]) / top; }, {});
  }

  static void note_border(MaskFile& file) {
    const std::int64_t h = file.mask.dim(1), w = file.mask.dim(2);
    const float* m = file.mask.data<float>();
    std::int64_t object = 0, all = 0;
    for (std::int64_t y = 0; y < h; ++y)
      for (std::int64_t x = 0; x < w; ++x) {
        if (y > 0 && y < h - 1 && x > 0 && x < w - 1) continue;
        ++all;
        object += m[y * w + x] >= 0.5f;
      }
    if (static_cast<double>(object) > border_share * static_cast<double>(all))
      file.notes.push_back(
          str("warning: most of the mask's border (", 100 * object / all, " %) is object: is it inverted? It takes white for the object"));
  }

  const std::string& path_;
  RawImage raw_;
};

}  // namespace

MaskFile read_mask_file(const std::string& path) { return MaskReader(path).read(); }

void fit_mask(MaskFile& file, const std::string& path, std::int64_t width, std::int64_t height, const std::string& picture) {
  const std::int64_t w = file.mask.dim(2), h = file.mask.dim(1);
  if (w == width && h == height) return;
  // The same shape but for a pixel of the smaller one, which rounding takes or gives.
  const double error = std::abs(static_cast<double>(w) * static_cast<double>(height) - static_cast<double>(h) * static_cast<double>(width));
  if (w == width || h == height || error > static_cast<double>(std::max(width, height))) {
    fail(Errc::invalid_argument, path, "the mask is ", w, " x ", h, " pixels, but ", picture, " is ", width, " x ", height,
         ", which is another shape");
  }
  const NoGrad no_grad;
  file.mask = resize(file.mask, height, width).detach();
  file.notes.push_back(str("the mask was resized from ", w, " x ", h, " pixels"));
}

}  // namespace g2s
