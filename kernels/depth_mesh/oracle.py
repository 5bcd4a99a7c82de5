"""A rasteriser that tests every triangle at every sample of its bounding box; depth then follows differentiably from the triangle seen."""
import importlib.util
import math
import pathlib

import numpy as np
import torch

spec = importlib.util.spec_from_file_location('geometry_oracle', pathlib.Path(__file__).parent.parent / 'geometry' / 'oracle.py')
geometry = importlib.util.module_from_spec(spec)
spec.loader.exec_module(geometry)


def triangles(height, width):
    """Vertex numbers, all upper left ones, then all lower right ones; then the same with the other winding."""
    v = np.arange(height * width).reshape(height, width)
    upper = np.stack([v[:-1, :-1], v[1:, :-1], v[:-1, 1:]], -1).reshape(-1, 3)
    lower = np.stack([v[:-1, 1:], v[1:, :-1], v[1:, 1:]], -1).reshape(-1, 3)
    both = np.concatenate([upper, lower])
    return np.concatenate([both, both[:, ::-1]])


def seen_triangles(screen, z, faces, height, width, near, far):
    """screen [N,2], z [N] -> face number per sample or -1."""
    best = np.full((height, width), far)
    seen = np.full((height, width), -1)
    for number, f in enumerate(faces):
        (x0, y0), (x1, y1), (x2, y2) = screen[f]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area >= 0:  # from behind in image coordinates: the other winding is drawn
            continue
        xa, xb = max(0, math.ceil(min(x0, x1, x2))), min(width - 1, math.floor(max(x0, x1, x2)))
        ya, yb = max(0, math.ceil(min(y0, y1, y2))), min(height - 1, math.floor(max(y0, y1, y2)))
        if xa > xb or ya > yb:
            continue
        x, y = np.meshgrid(np.arange(xa, xb + 1), np.arange(ya, yb + 1))
        w0 = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) / area
        w1 = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) / area
        w2 = 1 - w0 - w1
        depth = 1 / (w0 / z[f[0]] + w1 / z[f[1]] + w2 / z[f[2]])
        box = np.s_[ya:yb + 1, xa:xb + 1]
        better = (w0 >= 0) & (w1 >= 0) & (w2 >= 0) & (depth > near) & (depth < best[box])
        best[box] = np.where(better, depth, best[box])
        seen[box] = np.where(better, number, seen[box])
    return seen


def rasterize(points, attrs):
    batch, height, width = points.shape[:3]
    s, near, far = attrs.get('supersample', 2), attrs.get('near', 0.1), attrs.get('far', 100.0)
    faces = triangles(height, width)
    pictures = []
    for b in range(batch):
        p = points[b].reshape(-1, 3)
        across = p[:, 2] + 1e-9  # as the reference projects; depth itself is interpolated without
        u = p[:, 0] / across * attrs['focal'] + attrs['cx']
        v = p[:, 1] / across * attrs['focal'] + attrs['cy']
        screen = torch.stack([s * u - 0.5, s * v - 0.5], -1)
        seen = seen_triangles(screen.detach().numpy(), p[:, 2].detach().numpy(), faces, s * height, s * width, near, far)
        y, x = np.nonzero(seen >= 0)
        f = torch.from_numpy(faces[seen[y, x]].astype(np.int64))
        # The plane 1/z over the screen: homogeneous coordinates of the sample in those of the corners.
        corners = torch.cat([screen[f], torch.ones(len(f), 3, 1, dtype=torch.float64)], -1).transpose(1, 2)
        sample = torch.stack([torch.from_numpy(x), torch.from_numpy(y), torch.ones(len(x))], -1).double()
        weights = torch.linalg.solve(corners, sample[..., None])[..., 0]
        depth = 1 / (weights / p[:, 2][f]).sum(1)
        picture = torch.full((s * height, s * width), far, dtype=torch.float64).index_put((torch.from_numpy(y), torch.from_numpy(x)), depth)
        pictures.append(picture.reshape(height, s, width, s).mean((1, 3)))
    return torch.stack(pictures)[..., None].clamp(attrs.get('clamp_lo', 0.8), attrs.get('clamp_hi', 1.2))


def run(op, attrs, inputs):
    depth, angles, translation = inputs
    points = geometry.rigid_transform(geometry.unproject(depth, attrs), geometry.rotation_matrix(angles), translation, 1.0)
    return rasterize(points, attrs)
