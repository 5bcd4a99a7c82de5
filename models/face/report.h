// Faces for people and programs: drawn onto the picture, and as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/face/face.h"

namespace g2s G2S_EXPORTED {

constexpr std::int64_t max_drawn_side = 2048;

// The picture, u8 [1,H,W,3], at most max_drawn_side pixels wide and high, with box, points and frame of each face; green, yellow or red as
// the face is good, doubtful or unfit. The frame's upper edge is thicker.
Tensor draw_faces(const Tensor& pixels, const std::vector<Face>& faces);

// The fields that docs/faces.md tells.
nlohmann::json face_json(const Face& face);

// "largest", "all" or a number from 1 on: which faces of those that were found are meant. Throws naming the setting `face`, or the picture
// if it has no face of that number; of a picture without faces none are chosen.
void check_face_choice(const std::string& which);  // the same without a picture
std::vector<Face> choose_faces(const std::vector<Face>& faces, const std::string& which, const std::string& picture);

}  // namespace G2S_EXPORTED
