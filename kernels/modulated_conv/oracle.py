"""The per-sample-weight form: one convolution per picture with its own modulated (and demodulated) weight."""
import torch
import torch.nn.functional as F


def demodulation(w, style):
    return torch.rsqrt(((w[None] * style[:, None, None, None, :]) ** 2).sum((2, 3, 4)) + 1e-8)


def blur(x, before, after):
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype) / 8
    kernel = (taps[:, None] * taps[None, :] * 4).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(x, (before, after, before, after)), kernel, groups=x.shape[1])


def run(op, attrs, inputs):
    if op == 'demodulation':
        return demodulation(*inputs)
    x, w, style = inputs
    weight = w[None] * style[:, None, None, None, :]
    if attrs.get('demodulate'):
        weight = weight * demodulation(w, style)[:, :, None, None, None]
    x, weight, k = x.permute(0, 3, 1, 2), weight.permute(0, 1, 4, 2, 3), w.shape[1]
    pictures = []
    for picture, kernel in zip(x.split(1), weight):
        if attrs.get('upsample'):
            spare = 3 - k
            y = blur(F.conv_transpose2d(picture, kernel.transpose(0, 1), stride=2), (spare + 1) // 2 + 1, spare // 2 + 1)
        else:
            y = F.conv2d(picture, kernel, padding=k // 2)
        pictures.append(y)
    return torch.cat(pictures).permute(0, 2, 3, 1)
