"""The generator's gradient inside a scipy optimiser: which latent w gives this picture?

    python scipy_gradient.py [PICTURE.png] [OUT.png]

Without a picture the target is one of the generator's own, of a random latent.
"""
import sys

import gan2shape
import numpy as np
from scipy.optimize import minimize

generator = gan2shape.Generator()


def target_picture():
    if len(sys.argv) > 1:
        picture = gan2shape.read_picture(sys.argv[1])[..., :3]
        if picture.shape[:2] != (generator.size, generator.size):
            sys.exit(f'{sys.argv[1]}: has {picture.shape[1]}x{picture.shape[0]} pixels, not {generator.size}x{generator.size}')
        return picture / np.float32(127.5) - 1
    z = np.random.default_rng(1).standard_normal(generator.latent)
    return generator.picture(generator.mapping(z))


def loss(w, target):
    """The mean squared error of w's picture, and its gradient by w."""
    error = generator.picture(w) - target
    gradient = generator.vjp(w, 2 * error / error.size)
    return float(np.mean(error**2)), gradient.astype(np.float64)


target = target_picture()
start = generator.mean_latent().astype(np.float64)
print(f'at the mean latent: {loss(start, target)[0]:.5f}')
found = minimize(loss, start, args=(target,), jac=True, method='L-BFGS-B', options={'maxiter': 60})
print(f'after {found.nit} iterations, {found.nfev} gradients: {found.fun:.5f}')

if len(sys.argv) > 2:
    pictures = [target, generator.picture(start), generator.picture(found.x)]
    gan2shape.write_picture(sys.argv[2], np.concatenate(pictures, axis=1))
    print(f'target, start and result are in {sys.argv[2]}')
