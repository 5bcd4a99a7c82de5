"""The geometry in PyTorch, written from its formulas."""
import torch


def rays(height, width, attrs):
    y, x = torch.meshgrid(torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64), indexing='ij')
    return torch.stack([(x - attrs['cx']) / attrs['focal'], (y - attrs['cy']) / attrs['focal'], torch.ones_like(x)], -1)


def unproject(depth, attrs):
    return depth * rays(depth.shape[1], depth.shape[2], attrs)


def rotation_matrix(angles):
    def about(axis, angle):
        c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
        entries = {'x': [one, zero, zero, zero, c, -s, zero, s, c], 'y': [c, zero, s, zero, one, zero, -s, zero, c],
                   'z': [c, -s, zero, s, c, zero, zero, zero, one]}[axis]
        return torch.stack(entries, -1).reshape(-1, 3, 3)
    x, y, z = angles.unbind(1)
    return about('z', z) @ about('y', y) @ about('x', x)


def rigid_transform(points, rotation, translation, center, inverse=False):
    c = torch.tensor([0.0, 0.0, center], dtype=torch.float64)
    t = translation[:, None, None, :]
    if inverse:
        return torch.einsum('bji,bhwj->bhwi', rotation, (points - t - c).expand(rotation.shape[0], -1, -1, -1)) + c
    return torch.einsum('bij,bhwj->bhwi', rotation, (points - c).expand(rotation.shape[0], -1, -1, -1)) + c + t


def project_to_grid(points, attrs):
    height, width = points.shape[1:3]
    u = points[..., 0] / points[..., 2] * attrs['focal'] + attrs['cx']
    v = points[..., 1] / points[..., 2] * attrs['focal'] + attrs['cy']
    return torch.stack([2 * u / (width - 1) - 1, 2 * v / (height - 1) - 1], -1)


def normals_from_depth(depth, attrs):
    p = unproject(depth, attrs)
    n = torch.zeros_like(p)
    n[..., 2] = 1
    if min(depth.shape[1:3]) > 2:
        n[:, 1:-1, 1:-1] = torch.linalg.cross(p[:, 1:-1, 2:] - p[:, 1:-1, :-2], p[:, 2:, 1:-1] - p[:, :-2, 1:-1], dim=-1)
    else:
        n = n + 0 * p
    return n / (n.norm(dim=-1, keepdim=True) + 1e-7)


def run(op, attrs, inputs):
    if op == 'unproject':
        return unproject(inputs[0], attrs)
    if op == 'rotation_matrix':
        return rotation_matrix(inputs[0])
    if op == 'rigid_transform':
        return rigid_transform(*inputs, attrs['center'], attrs['inverse'])
    if op == 'project_to_grid':
        return project_to_grid(inputs[0], attrs)
    return normals_from_depth(inputs[0], attrs)
