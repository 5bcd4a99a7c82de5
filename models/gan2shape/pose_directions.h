// How a generator of faces turns heads: linear directions in W, found from the pose that face landmarks show (Shen et al. 2020 and others).
#pragma once

#include <string>

#include "engine/export.h"
#include "engine/safetensors.h"
#include "engine/tensor.h"
#include "models/gan2shape/config.h"
#include "models/renderer.h"

namespace g2s G2S_EXPORTED {

// pose [yaw, pitch] in degrees as face_pose() measures it; a picture of w shows about offset + predictor (w - centre).
struct PoseDirections {
  Tensor centre;     // [1,D]
  Tensor predictor;  // [2,D]
  Tensor direction;  // [2,D]: what to add to w for a degree of yaw, and of pitch, the other staying
  Tensor offset;     // [1,2]: of the mean picture, which is taken for looking straight ahead

  static PoseDirections load(const SafetensorsFile& file);  // f32, on the default device; throws naming file and tensor
};

// Rotations are the first two numbers of a view in units: about x and about y.
// Of pictures whose pose was measured: pose [B,2] degrees -> [B,2] units.
Tensor rotations_from_pose(const Tensor& pose, const PoseDirections& directions, const RendererConfig& config);
// What to add to the latent of a picture of rotations `from` [1,2] so that it shows `to` [B,2]: [B,D]. `turn` [2,2], if defined: what to ask for is
// (to - from) turn, because this picture turns by more or less than it is asked to.
Tensor turned_offset(const PoseDirections& directions, const Tensor& from, const Tensor& to, const Tensor& turn, const RendererConfig& config);
// offset [B,D] without what changes the pose.
Tensor without_turn(const PoseDirections& directions, const Tensor& offset);

// The whole view in units, [B,6], of rotations [B,2] under which FFHQ's alignment leaves the point between the eyes where it is: what moves is moved back.
// depth [1,S,S,1] is the canonical shape. Without gradients.
Tensor aligned_views(const Renderer& renderer, const Tensor& depth, const Tensor& rotations);

}  // namespace g2s
