"""Run by wheel.sh in an environment that has the wheel and what it needs, in another folder: is everything there?"""
import importlib.metadata
import os
import subprocess
import sys

import numpy as np

MEASURE = ('import time; t = time.perf_counter(); import numpy; n = time.perf_counter(), time.process_time(); import gan2shape; '
           'print(n[0] - t, time.perf_counter() - n[0], time.process_time() - n[1])')
runs = [subprocess.run([sys.executable, '-c', MEASURE], capture_output=True, text=True, check=True).stdout.split() for _ in range(7)]
numpy_ms, module_ms, processor_ms = (1000 * np.median([float(run[i]) for run in runs]) for i in range(3))

import gan2shape  # noqa: E402

folder = os.path.dirname(gan2shape.__file__)
wheel = importlib.metadata.distribution('gan2shape')
assert os.path.dirname(folder) in sys.path and os.getcwd() not in folder, folder
assert wheel.requires == ['numpy'], wheel.requires
assert wheel.version == gan2shape.__version__ == gan2shape.library_version(), wheel.version
info = gan2shape.default_context().info
assert info['assets'] == os.path.join(folder, 'assets'), info
with open('/proc/self/maps') as maps:
    assert os.path.join(folder, 'libgan2shape.so.0') in maps.read()
names = [str(file) for file in wheel.files]
for wanted in ('gan2shape/py.typed', 'gan2shape/bin/gan2shape', 'gan2shape/assets/README.md', 'licenses/LICENSE', 'licenses/NOTICE'):
    assert any(name.endswith(wanted) for name in names), wanted
for unwanted in ('.a', '.h', '.cmake', 'test'):
    assert not any(name.endswith(unwanted) for name in names), unwanted
picture = gan2shape.Generator()(np.zeros(512, np.float32))
assert picture.shape == (64, 64, 3) and np.isfinite(picture).all()
size = sum(os.path.getsize(wheel.locate_file(f)) for f in names)
print(f'import numpy {numpy_ms:.0f} ms, then gan2shape {module_ms:.0f} ms, of them {processor_ms:.0f} ms of a processor (medians of 7); {size} bytes installed')
