import torch.nn.functional as F


def run(op, attrs, inputs):
    x, scale, noise, noise_weight, bias = inputs
    if scale is not None:
        x = x * (scale[:, None, None, :] if x.ndim == 4 else scale)
    if noise is not None:
        x = x + noise_weight * noise
    if bias is not None:
        x = x + bias
    return attrs['gain'] * F.leaky_relu(x, attrs['slope'])
