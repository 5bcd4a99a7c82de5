"""A picture of a head, its 3D shape, and both side by side in one PNG.

    python reconstruction.py [PICTURE] [OUT.png] [SCALE]

Without a picture: one of the shipped heads. SCALE shortens everything: 0.01 is a quick try, 1 the real thing, which takes minutes.
"""
import os
import sys

import gan2shape
import numpy as np


def sample():
    return os.path.join(gan2shape.default_context().info['assets'], 'heads', '000_64.png')


def show(progress):
    loss = '' if progress.loss is None else f' loss {progress.loss:.4f}'
    print(f'\r{progress.stage} {progress.step}/{progress.steps}{loss}\x1b[K', end='', file=sys.stderr)


def grey(depth):
    """Near is white; where there is no object it is black. uint8 [S,S,3]."""
    seen = depth > 0
    near, far = depth[seen].min(), depth[seen].max()
    value = np.where(seen, 55 + 200 * (far - depth) / max(far - near, 1e-6), 0)
    return np.repeat(value.astype(np.uint8)[..., None], 3, axis=2)


def colours(picture):
    return np.clip((picture + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)


picture, out, scale = (sys.argv[1:] + [None] * 3)[:3]
out = out or 'reconstruction.png'
head = gan2shape.reconstruct(picture or sample(), scale=float(scale or 1), progress=show)
print(file=sys.stderr)
print(head)
gan2shape.write_picture(out, np.concatenate([colours(head.input), grey(head.depth), colours(head.reconstruction)], axis=1))
print(f'the input, its depth and what the shape makes of it are in {out}')
