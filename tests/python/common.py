"""What the tests of the Python module share."""
import os
import sys
import unittest

import numpy as np

import gan2shape

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADS = os.path.join(SOURCE, 'assets', 'heads')


def head(name='000_64'):
    """A shipped picture, in [-1,1]."""
    return gan2shape.read_picture(os.path.join(HEADS, name + '.png'))[..., :3] / np.float32(127.5) - 1


def directional(f, x, gradient, seed=0, step=1e-3):
    """How far a gradient is from central differences of f along a random direction, relative."""
    direction = np.random.default_rng(seed).standard_normal(x.shape)
    measured = (f(x + step * direction) - f(x - step * direction)) / (2 * step)
    return abs(float(np.sum(gradient * direction)) - measured) / abs(measured)


class Foreign:
    """An object that has __dlpack__ and is no numpy array."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def main():
    """Runs the tests of the file. None at all is a mistake."""
    program = unittest.main(exit=False)
    sys.exit(not (program.result.wasSuccessful() and program.result.testsRun))
