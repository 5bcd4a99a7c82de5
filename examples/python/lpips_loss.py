"""The perceptual distance LPIPS as a loss for numpy pictures, next to the package lpips where that is installed.

    python lpips_loss.py [A.png B.png [WEIGHTS.safetensors]]

Without pictures: two of the shipped heads. Without WEIGHTS.safetensors (docs/python.md): the shipped ones, rounded to half precision.
"""
import os
import sys

import gan2shape
import numpy as np


def pictures():
    if len(sys.argv) > 2:
        names = sys.argv[1:3]
    else:
        heads = os.path.join(gan2shape.default_context().info['assets'], 'heads')
        names = [os.path.join(heads, name) for name in ('000_128.png', '004_128.png')]
    return [gan2shape.read_picture(name)[..., :3] / np.float32(127.5) - 1 for name in names]


def of_the_package(a, b):
    """The distance and its gradient by a."""
    import lpips
    import torch

    network = lpips.LPIPS(net='vgg', verbose=False)  # fetches its weights when it runs for the first time
    a, b = (torch.from_numpy(x).permute(2, 0, 1)[None] for x in (a, b))
    a.requires_grad_()
    distance = network(a, b).sum()
    distance.backward()
    return distance.item(), a.grad[0].permute(1, 2, 0).numpy()


a, b = pictures()
distance, gradient = gan2shape.Lpips(*sys.argv[3:4]).gradient(a, b)
print(f'gan2shape: {float(distance):.6f}, length of the gradient {np.linalg.norm(gradient):.6f}')
try:
    theirs = of_the_package(a, b)
except (ImportError, OSError) as e:
    print(f'nothing to compare with: the package lpips did not run ({e})')
    sys.exit()
print(f'lpips:     {theirs[0]:.6f}, length of the gradient {np.linalg.norm(theirs[1]):.6f}')
print(f'relative difference {abs(float(distance) / theirs[0] - 1):.2e}, '
      f'of the gradients {np.linalg.norm(gradient - theirs[1]) / np.linalg.norm(theirs[1]):.2e}')
