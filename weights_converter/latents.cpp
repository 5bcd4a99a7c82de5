#include "weights_converter/latents.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>

#include "engine/error.h"
#include "engine/image.h"
#include "weights_converter/checkpoint.h"
#include "weights_converter/text.h"

namespace g2s::convert {
namespace {

constexpr std::int64_t most_numbers = std::int64_t{1} << 26;

bool ends_with_part(const std::string& name, const std::string& part) { return name == part || name.ends_with("." + part); }

bool is_picture_name(const std::string& name) {
  std::string ending = std::filesystem::path(name).extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const char* const known[] = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".ppm"};
  return std::find(std::begin(known), std::end(known), ending) != std::end(known);
}

class LatentFile {
 public:
  LatentFile(const Checkpoint& file, const LatentSpace& space, std::int64_t wanted) : file_(file), space_(space), wanted_(wanted) {}

  StoredLatents read() {
    const std::vector<const SourceTensor*> chosen = choose();
    StoredLatents out;
    if (chosen.size() == 1 && !by_picture_) out.latents = all_of(*chosen[0]);
    else out.latents = one_of_each(chosen);
    if (by_picture_) out.pictures = names_;
    const bool noise = std::any_of(file_.tensors.begin(), file_.tensors.end(),
                                   [](const SourceTensor& t) { return t.name.find(".noise.") != std::string::npos; });
    if (noise) out.notes.push_back("the file has noise maps of its own, which are not used: pictures have the generator's");
    return out;
  }

 private:
  std::string shapes() const {
    const std::int64_t d = space_.width, l = space_.styles;
    return str("the generator takes [", d, "], [N,", d, "] or [N,", l, ",", d, "]");
  }

  bool may_be_latent(const SourceTensor& t) const {
    return is_real(t.type) && !t.shape.empty() && t.shape.back() == space_.width && t.numel() > 0;
  }

  // Several tensors under one name are told apart by what the tools call them; "z" is not yet a latent of W.
  std::vector<const SourceTensor*> choose() {
    std::vector<const SourceTensor*> all, of_pictures;
    for (const SourceTensor& t : file_.tensors)
      if (may_be_latent(t)) all.push_back(&t);
    for (const SourceTensor* t : all)
      if (t->name.ends_with(".latent")) of_pictures.push_back(t);
    if (!of_pictures.empty()) return keyed(of_pictures, std::string(".latent").size());
    for (const char* usual : {"latent", "latents", "w_plus", "wp", "ws", "w", "dlatents", "codes"})
      if (const SourceTensor* t = file_.find(usual)) return {t};
    if (file_.tensors.size() == 1) return single(file_.tensors[0]);
    if (all.empty()) fail(Errc::format, file_.path, "has no tensor that is a latent; ", shapes());
    if (all.size() == 1) return single(*all[0]);
    return dictionary(all);
  }

  std::vector<const SourceTensor*> single(const SourceTensor& t) {
    if (ends_with_part(t.name, "z")) fail(Errc::format, file_.path, "tensor z is what the mapping takes, not a latent of W or W+");
    if (is_picture_name(t.name)) return keyed({&t}, 0);
    return {&t};
  }

  // pSp's: every picture's file name and its latent.
  std::vector<const SourceTensor*> dictionary(const std::vector<const SourceTensor*>& all) {
    const Dict* entries = file_.root ? file_.root->dict() : nullptr;
    if (entries && entries->size() == all.size() && file_.tensors.size() == all.size()) return keyed(all, 0);
    fail(Errc::format, file_.path, "has several tensors that may be latents (", printable(all[0]->name), ", ", printable(all[1]->name),
         all.size() > 2 ? ", ..)" : ")", ": leave one, or call it latent");
  }

  std::vector<const SourceTensor*> keyed(const std::vector<const SourceTensor*>& tensors, std::size_t suffix) {
    by_picture_ = true;
    for (const SourceTensor* t : tensors) names_.push_back(t->name.substr(0, t->name.size() - suffix));
    return tensors;
  }

  [[noreturn]] void bad_shape(const SourceTensor& t) const {
    fail(Errc::format, file_.path, what(t), " has shape ", describe(t.type, t.shape), "; ", shapes());
  }

  std::string what(const SourceTensor& t) const { return t.name == "data" ? "the latent" : "tensor " + printable(t.name); }

  std::vector<float> numbers(const SourceTensor& t) const {
    if (!is_real(t.type)) fail(Errc::format, file_.path, what(t), " is ", to_string(t.type), ", not floating point");
    const std::vector<double> values = read_values(t, most_numbers);
    std::vector<float> out(values.begin(), values.end());
    if (!std::all_of(out.begin(), out.end(), [](float v) { return std::isfinite(v); }))
      fail(Errc::format, file_.path, what(t), " has values that are not finite");
    return out;
  }

  Tensor tensor_of(const std::vector<float>& numbers, const Shape& shape) const {
    Tensor out = Tensor::empty(shape, DType::f32, Device{});
    std::copy(numbers.begin(), numbers.end(), out.mutable_data<float>());
    return out;
  }

  Dims squeezed(const SourceTensor& t) const {
    Dims s = t.shape;
    while (s.size() > 3 && s[0] == 1) s.erase(s.begin());
    if (s.size() == 4 && s[1] == 1) s.erase(s.begin() + 1);  // pictures of a batch of one each
    return s;
  }

  // A tensor that is the whole file, or the one that counts: [N,D] or [N,L,D].
  Tensor all_of(const SourceTensor& t) const {
    if (!is_real(t.type)) numbers(t);
    Dims s = squeezed(t);
    const std::int64_t d = space_.width, l = space_.styles;
    if (s.empty() || s.size() > 3 || s.back() != d || t.numel() == 0) bad_shape(t);
    if (s.size() == 1) s = {1, d};
    if (s.size() == 2 && s[0] == l && l > 1) {
      if (wanted_ > 1)
        fail(Errc::format, file_.path, what(t), " has shape ", describe(t.type, t.shape), ": one code in W+, or ", l,
             " in W? Save it as [1,", l, ",", d, "] or [", l, ",1,", d, "]");
      s = {1, l, d};
    }
    if (s.size() == 3 && s[1] == 1 && l != 1) s = {s[0], d};
    if (s.size() == 3 && s[1] != l) bad_shape(t);
    return tensor_of(numbers(t), Shape(s));
  }

  // Tensors of one picture each.
  Tensor one_of_each(const std::vector<const SourceTensor*>& tensors) const {
    const std::int64_t d = space_.width, l = space_.styles, each = tensors[0]->numel();
    std::vector<float> all;
    for (const SourceTensor* t : tensors) {
      if (t->shape.back() != d || (t->numel() != d && t->numel() != l * d)) bad_shape(*t);
      if (t->numel() != each) fail(Errc::format, file_.path, what(*t), " is in another space than the others: W and W+ do not go together");
      const std::vector<float> values = numbers(*t);
      all.insert(all.end(), values.begin(), values.end());
    }
    const auto n = static_cast<std::int64_t>(tensors.size());
    return tensor_of(all, each == d ? Shape{n, d} : Shape{n, l, d});
  }

  const Checkpoint& file_;
  LatentSpace space_;
  std::int64_t wanted_;
  bool by_picture_ = false;
  std::vector<std::string> names_;
};

}  // namespace

Tensor StoredLatents::at(std::int64_t i) const {
  check(i >= 0 && i < count(), "latents", "number ", i, " of ", count());
  std::vector<std::int64_t> shape(latents.shape().begin(), latents.shape().end());
  shape[0] = 1;
  Tensor one = Tensor::empty(Shape(shape), DType::f32, Device{});
  std::copy_n(latents.data<float>() + i * one.numel(), one.numel(), one.mutable_data<float>());
  return one;
}

std::int64_t StoredLatents::of(const std::string& stem) const {
  std::int64_t found = -1;
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const std::filesystem::path picture(pictures[i]);
    if (picture.stem() != stem && picture.filename() != stem) continue;
    if (found >= 0) return -1;
    found = static_cast<std::int64_t>(i);
  }
  return found;
}

StoredLatents read_latents(const std::string& path, const LatentSpace& space, std::int64_t wanted) {
  if (std::filesystem::exists(path) && is_image(path))
    fail(Errc::invalid_argument, path, "is a picture, not a latent: those are in .safetensors, .npy, .npz and .pt files");
  return LatentFile(*open_checkpoint(path), space, wanted).read();
}

}  // namespace g2s::convert
