// Faces in a picture.
#include "c_api/arrays.h"
#include "c_api/call.h"
#include "c_api/context.h"
#include "c_api/objects.h"
#include "engine/image.h"
#include "models/face/finder.h"
#include "models/face/report.h"

namespace g2s::capi {
namespace {

struct FacesObject {
  using Handle = g2s_faces;
  static constexpr Kind kind = Kind::faces;

  std::shared_ptr<ContextObject> context;
  FaceFinder finder;
};

SafetensorsFile open(const ContextObject& context, const char* folder, const char* name) {
  const std::string own = folder ? std::string(folder) + "/" + name : "";
  return SafetensorsFile(context.weights(folder ? own.c_str() : nullptr, name));
}

// u8 [1,H,W,3] on the CPU.
Tensor read_pixels(const g2s_array* array) {
  Array picture = Array::readable(array, "picture", Content::image);
  picture.without_batch().require(picture.rank() == 3 && picture.dim(2) == 3 && !picture.empty(), "[H,W,3]");
  const Tensor pixels = picture.dtype() == DType::u8 ? picture.read_as_it_is() : image_to_pixels(picture.read().to(Device{}));
  return pixels.reshape({1, picture.dim(0), picture.dim(1), 3});
}

Corners read_frame(const g2s_array* array) {
  const Array frame = Array::readable(array, "frame");
  frame.require_shape({4, 2});
  const Tensor values = frame.read().to(Device{});
  Corners corners;
  for (std::size_t i = 0; i < corners.size(); ++i)
    corners[i] = {static_cast<double>(values.data<float>()[2 * i]), static_cast<double>(values.data<float>()[2 * i + 1])};
  return corners;
}

void align(const g2s_array* picture, const g2s_array* frame, const g2s_array* aligned_array) {
  const Tensor pixels = read_pixels(picture);
  const Corners corners = read_frame(frame);
  Array aligned = Array::writable(aligned_array, "aligned", Content::image);
  aligned.without_batch().require(aligned.rank() == 3 && aligned.dim(0) == aligned.dim(1) && aligned.dim(2) == 3 && !aligned.empty(),
                                  "[S,S,3]");
  aligned.write(pixels_to_image(align_face(pixels, corners, aligned.dim(0))).reshape(aligned.shape()));
}

std::string as_json(const std::vector<Face>& faces) {
  nlohmann::json all = nlohmann::json::array();
  for (const Face& face : faces) all.push_back(face_json(face));
  return all.dump();
}

}  // namespace
}  // namespace g2s::capi

using namespace g2s;
using namespace g2s::capi;

g2s_status g2s_faces_load(g2s_context context, const char* folder, g2s_faces* faces) {
  return call([&] {
    g2s_faces& out = output(faces, "faces");
    const auto owner = find<ContextObject>(context, "context");
    const InContext in(owner, "faces");
    const SafetensorsFile detector = capi::open(*owner, folder, "face_detector.safetensors");
    const SafetensorsFile landmarks = capi::open(*owner, folder, "face_landmarks.safetensors");
    out = give(std::make_shared<FacesObject>(FacesObject{owner, FaceFinder(detector, landmarks)}));
  });
}

g2s_status g2s_faces_free(g2s_faces faces) {
  return call([&] { free_handle<FacesObject>(faces, "faces"); });
}

g2s_status g2s_faces_find(g2s_faces faces, const g2s_array* picture, g2s_text* text) {
  return call([&] {
    g2s_text& out = output(text, "text");
    const auto object = find<FacesObject>(faces, "faces");
    const InContext in(object->context, "faces");
    out = give_text(as_json(object->finder(read_pixels(picture))));
  });
}

g2s_status g2s_faces_align(g2s_faces faces, const g2s_array* picture, const g2s_array* frame, const g2s_array* aligned) {
  return call_network<FacesObject>(faces, "faces", [&](const FacesObject&) { align(picture, frame, aligned); });
}
