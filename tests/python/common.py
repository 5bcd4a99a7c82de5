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


def off_along_gradient(f, x, gradient, step=3e-3):
    """How far a gradient is from central differences of f in its own direction, relative."""
    length = float(np.linalg.norm(gradient))
    direction = gradient / length
    return abs((f(x + step * direction) - f(x - step * direction)) / (2 * step) / length - 1)


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
