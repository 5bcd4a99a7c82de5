"""The step as it is usually written: rows first (a of lo and lh, b of hl and hh), then columns."""
import torch


def interleave(even, odd, axis):
    return torch.stack([even, odd], axis + 1).flatten(axis, axis + 1)


def synthesis(x):
    channels = x.shape[3] // 4
    lo, high = x[..., :channels], x[..., channels:].unflatten(3, (channels, 3))
    lh, hl, hh = high.unbind(4)
    a, b = interleave(lo + lh, lo - lh, 1), interleave(hl + hh, hl - hh, 1)
    return interleave((a + b) / 2, (a - b) / 2, 2)


def analysis(y):
    rows = [y[:, 0::2], y[:, 1::2]]
    (p, q), (r, s) = [(row[:, :, 0::2], row[:, :, 1::2]) for row in rows]
    bands = [(p + q + r + s) / 2, (p + q - r - s) / 2, (p - q + r - s) / 2, (p - q - r + s) / 2]
    return torch.cat([bands[0], torch.stack(bands[1:], 4).flatten(3, 4)], 3)


def run(op, attrs, inputs):
    if op == 'haar_analysis':
        return analysis(inputs[0])
    x = inputs[0]
    return synthesis(x * inputs[1][:, None, None] if op == 'haar_synthesis_modulated' else x)
