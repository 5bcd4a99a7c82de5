// Which networks there are besides StyleGAN2, and what becomes of their names.
#pragma once

#include <memory>
#include <vector>

#include "weights_converter/plan.h"

namespace g2s::convert {

using Inputs = std::vector<std::shared_ptr<const Checkpoint>>;

// LPIPS on VGG16: features and heads, from one input or from two.
bool is_lpips(const Inputs& inputs);
ConversionPlan plan_lpips(const Inputs& inputs, const Request& request);

// MobileStyleGAN: OpenVINO models or this program's own file of it, and, if it is to be cut, a head that replaces its last blocks.
bool is_mobilestylegan(const Inputs& inputs);
ConversionPlan plan_mobilestylegan(const Inputs& inputs, const Request& request);

// The face detector and the landmarks of MediaPipe, told by what their graphs give.
bool is_face_detector(const Checkpoint& checkpoint);
ConversionPlan plan_face_detector(const Checkpoint& checkpoint, const Request& request);
bool is_face_landmarks(const Checkpoint& checkpoint);
ConversionPlan plan_face_landmarks(const Checkpoint& checkpoint, const Request& request);

// U-2-Net-p, its batch norms folded into the convolutions.
bool is_u2netp(const Checkpoint& checkpoint);
ConversionPlan plan_u2netp(const Checkpoint& checkpoint, const Request& request);

// Networks that keep the names of their PyTorch modules.
bool is_bisenet(const Checkpoint& checkpoint);
ConversionPlan plan_bisenet(const Checkpoint& checkpoint, const Request& request);
bool is_pspnet(const Checkpoint& checkpoint);
ConversionPlan plan_pspnet(const Checkpoint& checkpoint, const Request& request);
bool is_gan2shape_nets(const Checkpoint& checkpoint);
ConversionPlan plan_gan2shape_nets(const Checkpoint& checkpoint, const Request& request);

}  // namespace g2s::convert
