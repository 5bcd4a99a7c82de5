"""Contexts: what they are asked for, what they say, and how they stop."""
import gc
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import warnings

import numpy as np
from common import HEADS, main

import gan2shape
from gan2shape import _calls


class Contexts(unittest.TestCase):
    def test_what_was_asked_for(self):
        precision = 'bf16'
        try:
            context = gan2shape.Context(threads=1, precision=precision, memory_limit=10**9)
        except gan2shape.Unsupported:  # a processor without it
            precision = 'f32'
            context = gan2shape.Context(threads=1, precision=precision, memory_limit=10**9)
        info = context.info
        self.assertEqual((info['device'], info['threads'], info['precision'], info['memory_limit']), ('cpu', 1, precision, 10**9))
        self.assertIn('on cpu', repr(context))
        with context:
            pass
        self.assertIn('closed', repr(context))
        with self.assertRaises(ValueError):
            gan2shape.Generator(context=context)
        self.assertIs(gan2shape.default_context(), gan2shape.default_context())

    def test_what_there_is_not(self):
        for options in ({'device': 'tpu'}, {'precision': 'f8'}, {'threads': -1}, {'stream': 8}):
            with self.assertRaises(ValueError, msg=options):
                gan2shape.Context(**options)
        with self.assertRaises(FileNotFoundError):
            gan2shape.Context(assets='/none')
        with self.assertRaises(gan2shape.Unsupported) as caught:
            gan2shape.Context('cuda:99')
        self.assertEqual(caught.exception.status, 5)

    def test_memory_limit(self):
        with self.assertRaisesRegex(gan2shape.Error, 'memory_limit: 16M'):
            gan2shape.Fit(os.path.join(HEADS, '000_64.png'), context=gan2shape.Context(memory_limit=2**24))

    def test_versions(self):
        self.assertEqual(gan2shape.library_version(), gan2shape.__version__)

    def test_contexts_are_freed(self):
        def cycle():
            context = gan2shape.Context(threads=2)
            generator = gan2shape.Generator(context=context)
            generator(np.zeros((1, 512), np.float32))

        def held():
            gc.collect()
            return len(os.listdir('/proc/self/task')), len(os.listdir('/proc/self/fd'))

        cycle()
        before = held()
        for _ in range(10):
            cycle()
        self.assertEqual(held(), before)

    def test_an_object_keeps_its_context(self):
        context = gan2shape.Context(threads=1)
        generator = gan2shape.Generator(context=context)
        context.close()
        self.assertEqual(generator(np.zeros(512, np.float32)).shape, (64, 64, 3))


class Stopping(unittest.TestCase):
    def test_cancelled_until_it_is_resumed(self):
        context = gan2shape.Context(threads=1)
        generator = gan2shape.Generator(context=context)
        context.cancel()
        with self.assertRaises(gan2shape.Cancelled):
            generator(np.zeros(512, np.float32))
        context.resume()
        generator(np.zeros(512, np.float32))

    def test_cancelled_by_another_thread(self):
        context = gan2shape.Context(threads=1)
        generator = gan2shape.Generator(context=context)

        def cancel():
            while not context._running:
                time.sleep(0.001)
            context.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        with self.assertRaises(gan2shape.Cancelled):
            while True:
                generator(np.zeros((8, 512), np.float32))
        thread.join()

    def test_calls_that_never_began(self):
        context = gan2shape.Context(threads=1)
        call = _calls.Call('g2s_context_cancel', (context._owned.handle,), context._stops, None)
        call.stop()
        call.run()
        self.assertFalse(context.info['cancelled'])


class Sentences(unittest.TestCase):
    """The library calls back, here by the test in its place."""

    def said_by(self, context, sentence):
        generator = gan2shape.Generator(context=context)
        call = _calls.Call.run

        def run(self):
            context._callbacks[0](None, sentence.encode())
            call(self)

        _calls.Call.run = run
        try:
            generator(np.zeros(512, np.float32))
        finally:
            _calls.Call.run = call

    def test_are_warnings(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            self.said_by(gan2shape.Context(), 'Grüße')
        self.assertEqual([(str(w.message), w.category, w.filename) for w in caught], [('Grüße', gan2shape.Notice, __file__)])

    def test_may_be_errors(self):
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            context = gan2shape.Context()
            with self.assertRaises(gan2shape.Notice):
                self.said_by(context, 'no')
        self.assertFalse(context.info['cancelled'])

    def test_go_to_a_function(self):
        said = []
        self.said_by(gan2shape.Context(log=said.append), 'yes')
        self.assertEqual(said, ['yes'])


class Importing(unittest.TestCase):
    def run_python(self, code, **environment):
        return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env={**os.environ, **environment})

    def test_does_not_need_the_library(self):
        code = 'import gan2shape, numpy\ntry: gan2shape.Context()\nexcept ImportError as e: print(e)'
        done = self.run_python(code, GAN2SHAPE_LIBRARY='/none.so')
        self.assertIn('/none.so', done.stdout)
        self.assertIn('GAN2SHAPE_LIBRARY', done.stdout)

    @unittest.skipIf(sys.version_info < (3, 10), 'Python does not name its modules')
    def test_needs_numpy_alone(self):
        code = ('import sys, numpy; before = set(sys.modules); import gan2shape; '
                'print(sorted({m.split(".")[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)))')
        done = self.run_python(code)
        self.assertEqual(done.stdout.strip(), "['gan2shape']", done.stderr)

    def test_works_after_a_fork(self):
        code = ('import gan2shape, numpy as np, os\nw = np.zeros(512, np.float32)\nwanted = gan2shape.Generator()(w)\nchild = os.fork()\n'
                'if child: os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n'
                'os._exit(not np.array_equal(gan2shape.Generator()(w), wanted))')
        self.assertEqual(self.run_python(code).returncode, 0)

    def test_the_program(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, '-m', 'gan2shape', '--version'], capture_output=True, text=True, cwd=folder)
        self.assertIn('bin/gan2shape', done.stderr)  # the module's folder has no program; a wheel has one


if __name__ == '__main__':
    main()
