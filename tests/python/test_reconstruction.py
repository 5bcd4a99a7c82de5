"""From one picture to a shape, in the shortest schedule."""
import json
import os
import tempfile
import unittest
import warnings

import numpy as np
from common import HEADS, head, main

import gan2shape

SHORT = {'quality': 'draft', 'scale': 0.01}


def short_fit(**options):
    return gan2shape.Fit(head(), **{**SHORT, **options})


class Reconstructions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.told = []
        cls.head = gan2shape.reconstruct(os.path.join(HEADS, '000_64.png'), progress=cls.told.append, log=cls.told.append, **SHORT)

    def test_arrays(self):
        size = 64
        for name, shape in (('depth', ()), ('mask', ()), ('canonical_depth', ()), ('canonical_mask', ()), ('normals', (3,)), ('albedo', (3,)),
                            ('input', (3,)), ('texture', (3,)), ('reconstruction', (3,)), ('projection', (3,))):
            array = getattr(self.head, name)
            self.assertEqual((array.shape, array.dtype), ((size, size, *shape), np.float32), name)
            self.assertTrue(np.isfinite(array).all(), name)
            self.assertIs(getattr(self.head, name), array)
        self.assertEqual((self.head.view.shape, self.head.light.shape, self.head.latent.shape[-1]), ((6,), (4,), 512))
        np.testing.assert_allclose(self.head.input, head(), atol=1 / 127)
        seen = self.head.depth > 0
        self.assertTrue(seen.mean() > 0.1 and 0.8 < self.head.depth[seen].min() and self.head.depth[seen].max() < 1.2)
        np.testing.assert_allclose(np.linalg.norm(self.head.normals, axis=2), 1, atol=0.02)

    def test_mesh(self):
        mesh = self.head.mesh
        self.assertEqual((mesh.vertices.shape[1], mesh.triangles.shape[1], mesh.triangles.dtype), (3, 3, np.int32))
        self.assertTrue(0 <= mesh.triangles.min() and mesh.triangles.max() == len(mesh.vertices) - 1)
        self.assertEqual((mesh.normals.shape, mesh.uvs.shape), (mesh.vertices.shape, (len(mesh.vertices), 2)))
        self.assertTrue(0 <= mesh.uvs.min() and mesh.uvs.max() <= 1)
        self.assertEqual((mesh.texture.ndim, mesh.texture.dtype), (3, np.uint8))
        # Corners are ordered so that faces look where their vertices' normals do.
        a, b, c = (mesh.vertices[mesh.triangles[:, i]] for i in range(3))
        agree = np.sum(np.cross(b - a, c - a) * mesh.normals[mesh.triangles[:, 0]], axis=1) > 0
        self.assertGreater(agree.mean(), 0.9)

    def test_views(self):
        self.assertGreater(len(self.head.views), 10)
        for pictures in (self.head.views, self.head.relit):
            for name in list(pictures)[:2]:
                self.assertEqual((pictures[name].ndim, pictures[name].dtype), (3, np.uint8), name)
        self.assertIn('mesh_yaw+35.0', self.head.views)
        with self.assertRaises(KeyError):
            self.head.views['mesh']

    def test_shows_itself(self):
        png = self.head._repr_png_()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'a.png')
            with open(path, 'wb') as file:
                file.write(png)
            np.testing.assert_array_equal(gan2shape.read_picture(path), self.head.overview)
        self.assertIn(f'{len(self.head.mesh.vertices)} vertices', repr(self.head))

    def test_all_names(self):
        for name in self.head.fit.names:
            self.assertGreater(self.head.fit.get(name).size, 0, name)
        with self.assertRaisesRegex(ValueError, 'no_such'):
            self.head.fit.get('no_such')

    def test_progress(self):
        progress = [p for p in self.told if isinstance(p, gan2shape.Progress)]
        self.assertGreater(len(progress), 5)
        self.assertTrue(all(0 <= p.step <= p.steps for p in progress))
        self.assertTrue(any(p.loss is not None for p in progress) and len({p.stage for p in progress}) > 2)
        self.assertEqual(sorted(p.seconds for p in progress), [p.seconds for p in progress])
        self.assertEqual(self.head.warnings, [s for s in self.told if isinstance(s, str)])

    def test_save(self):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, 'head')
            self.head.save(out)
            for name in ('mesh.glb', 'mesh.obj', 'overview.png', 'result.json', 'depth.png', os.path.join('views', 'mesh_yaw+35.0.png')):
                self.assertGreater(os.path.getsize(os.path.join(out, name)), 0, name)
            np.testing.assert_array_equal(gan2shape.read_picture(os.path.join(out, 'overview.png')), self.head.overview)
            np.testing.assert_array_equal(np.load(os.path.join(out, 'input_depth.npy')), self.head.depth)
            self.head.save(out)
            with open(os.path.join(out, 'result.json'), encoding='utf-8') as file:
                told = json.load(file)
            told['seed'] = 77
            with open(os.path.join(out, 'result.json'), 'w', encoding='utf-8') as file:
                json.dump(told, file)
            with self.assertRaisesRegex(gan2shape.Error, 'made with another seed'):
                self.head.save(out)
        self.assertIsInstance(self.head.info, dict)
        self.assertTrue(self.head.info)

    def test_steps_and_state(self):
        """The bits do not depend on how it is cut, nor on whether the picture is a file or an array."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'state')
            first = short_fit()
            self.assertFalse(first.step(1))
            self.assertEqual(first.progress[:2], ('projection', 1))
            first.save(path)
            second = short_fit()
            second.resume(path)
            self.assertEqual(second.progress[:3], first.progress[:3])
            other = short_fit(seed=1)
            with self.assertRaises(gan2shape.Error):
                other.resume(path)
        while not second.step(2):
            pass
        for name in ('depth', 'albedo', 'latent', 'mesh.positions'):
            np.testing.assert_array_equal(second.get(name), self.head.fit.get(name), name)

    def test_a_callback_that_raises_stops_it(self):
        def stop(progress):
            if progress.stage == 'projection':
                raise StopIteration('enough')

        fit = short_fit(progress=stop)
        with self.assertRaisesRegex(StopIteration, 'enough'):
            fit.step()
        fit.on_progress = None
        self.assertFalse(fit.step(1))  # goes on
        with self.assertRaises(gan2shape.Error):
            fit.get('depth')  # is not finished

    def test_wrong_options(self):
        for wrong in ({'preset': 'heads'}, {'quality': 'best'}, {'scale': -1}, {'latent': [1, 2]}):
            with self.assertRaises(ValueError, msg=wrong):
                short_fit(**wrong)
        with self.assertRaises(FileNotFoundError):
            short_fit(weights='/none')
        with self.assertRaises(FileNotFoundError):
            gan2shape.reconstruct('/none.png')
        with self.assertRaises(ValueError):
            gan2shape.Fit(head(), np.zeros((3, 3), bool))
        with self.assertRaisesRegex(TypeError, 'threads'):
            gan2shape.reconstruct(head(), threads=2, context=gan2shape.default_context())

    def test_a_mask_of_the_callers(self):
        mask = np.zeros((64, 64), bool)
        mask[8:56, 16:48] = True
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            masked = gan2shape.Fit(head(), mask, **SHORT)
        masked.step()
        np.testing.assert_array_equal(masked.get('mask') > 0.5, mask)
        self.assertGreater(abs(masked.get('mask') - self.head.mask).max(), 0.5)


if __name__ == '__main__':
    main()
