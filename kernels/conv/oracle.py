import torch
import torch.nn.functional as F


def nchw(t):
    return t.permute(0, 3, 1, 2)


def nhwc(t):
    return t.permute(0, 2, 3, 1)


def run(op, attrs, inputs):
    a, b = inputs
    stride, pad, dilation = (attrs.get(k, d) for k, d in (('stride', 1), ('pad', 0), ('dilation', 1)))
    if op == 'conv2d':
        return nhwc(F.conv2d(nchw(a), nchw(b), stride=stride, padding=pad, dilation=dilation))
    if op == 'conv_transpose2d':
        return nhwc(F.conv_transpose2d(nchw(a), nchw(b), stride=stride, padding=pad, dilation=dilation, output_padding=attrs.get('output_pad', 0)))
    if op == 'conv2d_weight_grad':  # sums of products of shifted pictures
        kernel = attrs['kernel']
        x = F.pad(a, (0, 0, pad, pad, pad, pad))
        rows, columns = b.shape[1], b.shape[2]
        taps = [torch.einsum('bijc,bijo->oc', x[:, u * dilation:, v * dilation:][:, ::stride, ::stride][:, :rows, :columns], b)
                for u in range(kernel[0]) for v in range(kernel[1])]
        return torch.stack(taps, 1).reshape(b.shape[3], kernel[0], kernel[1], a.shape[3])
    raise ValueError(op)
