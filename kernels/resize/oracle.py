import torch.nn.functional as F


def run(op, attrs, inputs):
    x = inputs[0].permute(0, 3, 1, 2)
    size = attrs['height'], attrs['width']
    mode = op.removeprefix('resize_')
    if op == 'resize':
        mode = 'bilinear' if size[0] > x.shape[2] else 'area'
    y = F.interpolate(x, size, mode=mode, align_corners=False) if mode == 'bilinear' else F.interpolate(x, size, mode=mode)
    return y.permute(0, 2, 3, 1)
