"""The examples of examples/python, from another folder."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

from common import HEADS, SOURCE, main

import gan2shape

EXAMPLES = os.path.join(SOURCE, 'examples', 'python')


class Examples(unittest.TestCase):
    def run_example(self, name, *arguments):
        done = subprocess.run([sys.executable, os.path.join(EXAMPLES, name), *arguments], capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name

    def test_reconstruction(self):
        self.run_example('reconstruction.py', os.path.join(HEADS, '004_64.png'), 'out.png', '0.005')
        self.assertEqual(gan2shape.read_picture(os.path.join(self.folder, 'out.png')).shape, (64, 192, 3))

    def test_scipy_gradient(self):
        try:
            import scipy  # noqa: F401
        except ImportError:
            self.skipTest('scipy is not installed')
        out = self.run_example('scipy_gradient.py')
        start, found = (float(x) for x in re.findall(r': ([0-9.]+)$', out, re.M))
        self.assertLess(found, start / 10)

    def test_lpips_loss(self):
        out = self.run_example('lpips_loss.py')
        self.assertRegex(out, r'gan2shape: 0\.[0-9]+, length of the gradient [0-9.]+')
        difference = re.search('relative difference ([^,]*), of the gradients (.*)', out)
        if difference:  # the package lpips is installed; its weights are not rounded as ours are
            self.assertLess(float(difference[1]), 1e-4)
            self.assertLess(float(difference[2]), 0.1)
        else:
            self.assertIn('nothing to compare with', out)

    def test_are_short(self):
        for name in os.listdir(EXAMPLES):
            with open(os.path.join(EXAMPLES, name)) as file:
                self.assertLess(len(file.readlines()), 60, name)


if __name__ == '__main__':
    main()
