"""Ctrl-C, as a terminal sends it, to a process that works."""
import signal
import subprocess
import sys
import unittest

from common import HEADS, main

# Says when it works, is interrupted, then shows that nothing is left of it.
FIT = f"""
import gan2shape, numpy as np
def say(progress):
    if progress.step == 3: print('working', flush=True)
fit = gan2shape.Fit({HEADS!r} + '/000_64.png', quality='draft', scale=5, progress=say, log=print)
try:
    fit.step()
except KeyboardInterrupt:
    print('interrupted', fit.context.info['cancelled'], fit.step(1), fit.progress.step > 0)
print(gan2shape.Generator()(np.zeros(512, np.float32)).shape)
"""
GENERATOR = """
import gan2shape, numpy as np
generator = gan2shape.Generator()
w = np.zeros((50, 512), np.float32)
try:
    print('working', flush=True)
    while True: # wherever Ctrl-C comes, it is inside, and nearly always while a call runs
        generator(w)
except KeyboardInterrupt:
    print('interrupted', generator.context.info['cancelled'])
print(generator(w[0]).shape)
"""
# A second Ctrl-C does not wait for what runs to end, and the first one is not lost while a callback works.
CALLBACK = f"""
import gan2shape, time
def say(progress):
    print('working', flush=True)
    time.sleep(60)
try:
    gan2shape.reconstruct({HEADS!r} + '/000_64.png', quality='draft', scale=5, progress=say, log=print)
except KeyboardInterrupt:
    print('interrupted', gan2shape.default_context().info['cancelled'])
"""


class Interrupts(unittest.TestCase):
    def interrupted(self, code):
        """What the process prints after it was interrupted."""
        process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            for line in process.stdout:
                if line == 'working\n':
                    break
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
            process.communicate()
        self.assertEqual((process.returncode, err), (0, ''), err)
        return out.replace('working\n', '')

    def test_a_fit(self):
        self.assertEqual(self.interrupted(FIT), 'interrupted False False True\n(64, 64, 3)\n')

    def test_a_short_call(self):
        self.assertEqual(self.interrupted(GENERATOR), 'interrupted False\n(64, 64, 3)\n')

    def test_a_callback(self):
        self.assertEqual(self.interrupted(CALLBACK), 'interrupted False\n')


if __name__ == '__main__':
    main()
