import torch


def matrix(axis):
    m = torch.zeros(len(axis['start']), axis['in'], dtype=torch.float64)
    for o, (start, count) in enumerate(zip(axis['start'], axis['count'])):
        for j in range(count):
            m[o, start + j] = ((7 * o + 3 * j) % 11 - 5) / 8 + 0.0625
    return m


def run(op, attrs, inputs):
    return torch.einsum('oh,pw,bhwc->bopc', matrix(attrs['rows']), matrix(attrs['cols']), inputs[0])
