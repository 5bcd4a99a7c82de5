"""The generator, the perceptual distance and the mask, with their gradients."""
import os
import threading
import unittest

import numpy as np
from common import HEADS, Foreign, head, main, off_along_gradient

import gan2shape


class Generators(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.g = gan2shape.Generator()
        cls.w = cls.g.mapping(np.random.default_rng(0).standard_normal((2, cls.g.latent)))

    def test_what_it_is(self):
        self.assertEqual((self.g.size, self.g.latent), (64, 512))
        self.assertEqual(self.w.shape, (2, 512))
        self.assertIn('64x64', repr(self.g))

    def test_pictures(self):
        pictures = self.g(self.w)
        self.assertEqual((pictures.shape, pictures.dtype), ((2, 64, 64, 3), np.float32))
        self.assertGreater(pictures.std(), 0.1)
        self.assertGreater(abs(pictures[0] - pictures[1]).max(), 0.1)
        np.testing.assert_array_equal(self.g.picture(self.w), pictures)
        np.testing.assert_allclose(self.g.picture(self.w[1]), pictures[1], atol=1e-4)
        every = np.repeat(self.w[:, None], self.g.latents, axis=1)
        np.testing.assert_allclose(self.g.picture(every), pictures, atol=1e-4)
        np.testing.assert_array_equal(self.g.picture(Foreign(self.w)), pictures)
        np.testing.assert_array_equal(self.g.picture(self.w.tolist()), pictures)

    def test_out(self):
        pictures, wide = self.g(self.w), np.zeros((2, 64, 128, 3))
        out = wide[:, :, 1::2]
        self.assertIs(self.g.picture(self.w, out=out), out)
        np.testing.assert_array_equal(out, pictures)
        self.assertEqual(abs(wide[:, :, ::2]).max(), 0)
        out = np.empty((2, 64, 64, 3), np.uint8)
        self.g.picture(self.w, out=out)
        np.testing.assert_allclose(out, np.clip((pictures + 1) * 127.5, 0, 255), atol=0.51)
        out = Foreign(np.empty((2, 64, 64, 3), np.float16))
        self.g.picture(self.w, out=out)
        np.testing.assert_allclose(out.array, pictures, atol=2e-3)

    def test_gradient(self):
        w, target = self.w[0].astype(np.float64), head()

        def loss(v):
            return float(np.sum((self.g.picture(v).astype(np.float64) - target) ** 2))

        picture = np.empty((64, 64, 3), np.float32)
        dw = self.g.vjp(w, 2 * (self.g(w) - target), picture=picture)
        self.assertEqual(dw.shape, w.shape)
        np.testing.assert_array_equal(picture, self.g(w))
        self.assertLess(off_along_gradient(loss, w, dw), 1e-2)
        np.testing.assert_allclose(self.g.vjp(self.w, np.ones((2, 64, 64, 3), np.float32))[0],
                                   self.g.vjp(self.w[0], np.ones((64, 64, 3), np.float32)), rtol=1e-3, atol=1e-2)

    def test_mean_latent(self):
        mean = self.g.mean_latent(3, 100)
        self.assertEqual(mean.shape, (512,))
        np.testing.assert_array_equal(self.g.mean_latent(3, 100), mean)
        self.assertGreater(abs(self.g.mean_latent(4, 100) - mean).max(), 0)

    def test_wrong_arguments(self):
        for f in (lambda: self.g(np.zeros((1, 5), np.float32)), lambda: self.g(np.zeros((1, 3, 512), np.float32)),
                  lambda: self.g(self.w, out=np.zeros((2, 64, 64, 1), np.float32)), lambda: self.g.vjp(self.w, np.zeros((2, 4, 4, 3), np.float32))):
            with self.assertRaises(gan2shape.ShapeMismatch):
                f()
        with self.assertRaisesRegex(FileNotFoundError, '/none.safetensors'):
            gan2shape.Generator('/none.safetensors')
        with self.assertRaises(ValueError):
            gan2shape.Generator(os.path.join(HEADS, '000_64.png'))

    def test_threads(self):
        wanted, found = [self.g(self.w[:1]), self.g(self.w[1:])], [None] * 8

        def draw(i):
            found[i] = self.g(self.w[i % 2 : i % 2 + 1])

        threads = [threading.Thread(target=draw, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for i, picture in enumerate(found):
            np.testing.assert_array_equal(picture, wanted[i % 2])


class Distances(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lpips, cls.a, cls.b = gan2shape.Lpips(), head('000_64'), head('004_64')

    def test_distance(self):
        distance = self.lpips(self.a, self.b)
        self.assertEqual(distance.shape, ())
        self.assertGreater(float(distance), 0.05)
        self.assertLess(float(self.lpips(self.a, self.a)), 1e-10)
        both = self.lpips.distance(np.stack([self.a, self.a]), np.stack([self.b, self.a]))
        np.testing.assert_allclose(both, [distance, 0], atol=1e-6)
        of_bytes = [np.rint((x + 1) * 127.5).astype(np.uint8) for x in (self.a, self.b)]
        np.testing.assert_allclose(self.lpips(*of_bytes), distance, rtol=1e-5)

    def test_gradient(self):
        distance, da = self.lpips.gradient(self.a, self.b)
        self.assertEqual(float(distance), float(self.lpips(self.a, self.b)))
        self.assertLess(off_along_gradient(lambda x: float(self.lpips(x, self.b)), self.a, da), 2e-2)
        again, da_again, db = self.lpips.gradients(self.a, self.b)
        self.assertEqual(float(again), float(distance))
        np.testing.assert_array_equal(da_again, da)
        np.testing.assert_allclose(self.lpips.gradient(self.b, self.a)[1], db, atol=1e-5)

    def test_wrong_shapes(self):
        for a, b in ((self.a, self.b[:32]), (self.a[..., 0], self.b[..., 0]), (self.a[:8, :8], self.b[:8, :8])):
            with self.assertRaises(ValueError):
                self.lpips(a, b)


class Masks(unittest.TestCase):
    def test_a_head_stands_out(self):
        masker = gan2shape.Masker()
        mask = masker.find(head('000_128'))
        self.assertEqual((mask.shape, mask.dtype), ((128, 128), bool))
        self.assertTrue(mask[64, 64] and 0.1 < mask.mean() < 0.9)
        np.testing.assert_array_equal(masker(os.path.join(HEADS, '000_128.png')), mask)
        with self.assertRaises(ValueError):
            masker(np.zeros((4, 4), np.float32))


class Faces(unittest.TestCase):
    def test_a_portrait_has_one_face(self):
        finder, path = gan2shape.FaceFinder(), os.path.join(os.path.dirname(__file__), '../images/portraits/astronaut.jpg')
        (face,) = finder.find(path)
        self.assertEqual((face.number, face.state, face.remark), (1, 'good', ''))
        self.assertEqual((face.points.shape, face.frame.shape, face.box.shape), ((468, 3), (4, 2), (4,)))
        self.assertTrue(abs(face.yaw) < 8 and face.presence > 28)
        crop = finder.align(path, face, 64)
        self.assertEqual((crop.shape, crop.dtype), ((64, 64, 3), np.uint8))
        np.testing.assert_array_equal(finder.align(gan2shape.read_picture(path), face.frame, 64), crop)
        self.assertEqual(finder(np.zeros((40, 50, 3), np.uint8)), [])
        with self.assertRaises(ValueError):
            finder(np.zeros((4, 4), np.uint8))
        with self.assertRaises(ValueError):
            finder.align(path, np.zeros((3, 2)))


if __name__ == '__main__':
    main()
