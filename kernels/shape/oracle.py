import torch


def run(op, attrs, inputs):
    x = inputs[0]
    if op == 'permute':
        return x.permute(attrs['order']).contiguous()
    axis = attrs['axis']
    if op == 'slice':
        return x.narrow(axis, attrs['begin'], attrs['end'] - attrs['begin']).contiguous()
    if op == 'concat':
        return torch.cat(inputs, axis)
    if op == 'flip':
        return x.flip(axis)

    def part(size):
        shape = list(x.shape)
        shape[axis] = size
        return torch.full(shape, attrs['value'], dtype=x.dtype)
    return torch.cat([part(attrs['before']), x, part(attrs['after'])], axis)
