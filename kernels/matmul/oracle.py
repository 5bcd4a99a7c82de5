import torch


def run(op, attrs, inputs):
    a, b = inputs
    if attrs.get('transpose_a'):
        a = a.transpose(-1, -2)
    if attrs.get('transpose_b'):
        b = b.transpose(-1, -2)
    return torch.matmul(a, b)
