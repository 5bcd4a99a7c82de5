"""Arrays in and out, and what is said of wrong ones."""
import ctypes
import gc
import os
import tempfile
import unittest
import weakref

import numpy as np
from common import HEADS, Foreign, main

import gan2shape
from gan2shape import _arrays


def seen(array):
    """What the library sees of an array."""
    a = _arrays.reading(array, 'x').array
    return a.data, tuple(a.shape[: a.rank]), tuple(a.strides[: a.rank]), a.dtype, a.device_type


class Views(unittest.TestCase):
    def test_numpy_arrays_are_not_copied(self):
        for dtype in (np.float32, np.float64, np.float16, np.int32, np.uint8):
            x = np.zeros((4, 6, 3), dtype)
            for view in (x, x[1:, ::-2], x.transpose(2, 0, 1), np.broadcast_to(x[:1], (5, 6, 3))):
                data, shape, strides, _, device = seen(view)
                self.assertEqual((data, shape, device), (view.ctypes.data, view.shape, 0))
                self.assertEqual(tuple(s * x.itemsize for s in strides), view.strides)

    def test_dlpack_is_not_copied(self):
        x = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
        for view in (x, x[:, 1:], x.transpose(2, 0, 1), x[1, 2, 3:]):
            self.assertEqual(seen(Foreign(view)), seen(view))
        self.assertEqual(seen(Foreign(np.zeros((2, 2), bool)))[3], seen(np.zeros((2, 2), np.uint8))[3])

    def test_dlpack_is_given_back(self):
        x = np.zeros(1000, np.float32)
        alive = weakref.ref(x)
        view = _arrays.reading(Foreign(x), 'x')
        del x
        gc.collect()
        self.assertIsNotNone(alive())
        del view
        gc.collect()
        self.assertIsNone(alive())

    def test_what_cannot_be_seen_is_copied(self):
        x = np.arange(6, dtype='>f4')
        records = np.zeros(3, np.dtype([('a', np.uint8), ('b', np.float32)]))
        records['b'] = [1, 2, 3]
        for array, wanted in ((x, range(6)), (records['b'], (1, 2, 3)), ([[1, 2]], [[1, 2]]), ((0.5, 2), (0.5, 2))):
            view = _arrays.reading(array, 'x')
            found = np.ctypeslib.as_array(ctypes.cast(view.array.data, ctypes.POINTER(ctypes.c_float)), view.shape)
            np.testing.assert_array_equal(found, wanted)

    def test_bools_are_bytes(self):
        x = np.array([[True, False]])
        self.assertEqual(seen(x), seen(x.view(np.uint8)))

    def test_empty_and_scalar(self):
        self.assertEqual(seen(np.zeros((0, 3), np.float32))[1], (0, 3))
        self.assertEqual(seen(np.float32(2))[1:4], ((), (), 0))

    def test_wrong_ones_are_refused_by_name(self):
        for wrong, kind in ((np.zeros(3, np.int64), TypeError), (np.zeros(3, complex), TypeError), ('text', TypeError), (None, TypeError),
                            (np.zeros((1,) * 7, np.float32), ValueError), (Foreign(np.zeros(3, np.int64)), TypeError)):
            with self.assertRaisesRegex(kind, '^latent: '):
                _arrays.reading(wrong, 'latent')

    def test_what_is_written_must_be_writable(self):
        x = np.zeros(3, np.float32)
        x.flags.writeable = False
        for wrong, kind in ((x, ValueError), (np.zeros(3, '>f4'), ValueError), ([0, 0, 0], TypeError)):
            with self.assertRaisesRegex(kind, '^out: '):
                _arrays.writing(wrong, 'out')


class Pictures(unittest.TestCase):
    def test_written_and_read(self):
        picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'ä.png')
            gan2shape.write_picture(path, picture[:, ::-1])
            np.testing.assert_array_equal(gan2shape.read_picture(path), picture[:, ::-1])
            gan2shape.write_picture(path, picture.astype(np.float64) / 127.5 - 1)
            np.testing.assert_array_equal(gan2shape.read_picture(path), picture)
            with open(path, 'wb') as file:
                file.write(gan2shape.pictures.png(picture))
            np.testing.assert_array_equal(gan2shape.read_picture(path), picture)

    def test_files_that_are_none(self):
        with tempfile.TemporaryDirectory() as folder:
            missing = os.path.join(folder, 'none.png')
            with self.assertRaisesRegex(FileNotFoundError, 'none.png'):
                gan2shape.read_picture(missing)
            with self.assertRaises(FileNotFoundError):
                gan2shape.write_picture(os.path.join(folder, 'none', 'a.png'), np.zeros((2, 2, 3), np.uint8))
            with self.assertRaisesRegex(gan2shape.FormatError, 'README') as caught:
                gan2shape.read_picture(os.path.join(os.path.dirname(HEADS), 'README.md'))
            self.assertIsInstance(caught.exception, ValueError)
            self.assertEqual(caught.exception.status, 4)


if __name__ == '__main__':
    main()
