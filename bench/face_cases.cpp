#include "bench/face_cases.h"

#include <memory>

#include "engine/image.h"
#include "kernels/shape/shape.h"
#include "models/face/finder.h"

namespace g2s::bench {
namespace {

// A shipped head, 1.5 thousand pixels high, in a picture of 4000 x 3000. Grey pads it, as a wall does.
Tensor photograph(const std::string& assets) {
  const Tensor head = resize_pixels(read_image(assets + "/heads/004_128.png").rgb, 1500, 1500);
  return pad(pad(head, 1, 700, 800, 120), 2, 1200, 1300, 120);
}

std::function<void()> finder_case(const std::string& assets) {
  const auto finder = std::make_shared<FaceFinder>(SafetensorsFile(assets + "/face_detector.safetensors"),
                                                   SafetensorsFile(assets + "/face_landmarks.safetensors"));
  const Tensor pixels = photograph(assets);
  return [=] { check((*finder)(pixels).size() == 1, "faces_12mp", "the head was not found"); };
}

std::function<void()> network_case(const std::string& path) {
  const auto network = std::make_shared<StoredNetwork>(SafetensorsFile(path));
  const Tensor x = Tensor::full({1, network->side(), network->side(), 3}, 0.5);
  return [=] { (*network)(x); };
}

}  // namespace

std::map<std::string, Setup> face_cases(const std::string& assets) {
  std::map<std::string, Setup> all;
  all["faces_12mp"] = [=] { return finder_case(assets); };
  all["face_detector_256"] = [=] { return network_case(assets + "/face_detector.safetensors"); };
  all["face_landmarks_192"] = [=] { return network_case(assets + "/face_landmarks.safetensors"); };
  return all;
}

}  // namespace g2s::bench
