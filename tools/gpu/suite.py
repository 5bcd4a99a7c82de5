#!/usr/bin/env python3
"""make gpu-1: the tables of all operator families on the device, the golden traces there, and traces beside the CPU's."""
import functools
import os
import sys

import session
import traces

DEVICE = {'G2S_TEST_DEVICE': 'cuda'}
CUT_DOWN = ['pool', 'smooth']  # what the emulator runs in the place of all


def table(s, family):
    cases = f'--test-case={family},{family}:*table*of*cases*,{family}:*on*the*device*'
    s.step(f'table/{family}', [s.program('g2s_tests'), '--no-intro=true', f'--source-file=*/kernels/{family}/*', cases], 240, session.doctest_counts, DEVICE)


def on_device(s, name, part):
    s.step(name, [s.program('g2s_tests'), '--no-intro=true', '--source-file=*/tests/device.test.cpp', f'--test-case=*{part}*'], 240, session.doctest_counts, DEVICE)


def parity(s, name, dtype, limit):
    files = {d: os.path.join(s.options.out, f'trace_{name}_{dtype}_{d}.safetensors') for d in ('cpu', 'cuda')}
    for device, path in files.items():
        s.step(f'trace/{name}/{dtype}/{device}', [s.program('gan2shape'), 'trace', f'tests/golden/{name}.json', '--out', path, '--force', '--dtype', dtype, '--device', device], 200)
    if s.dry:
        print(f'  parity/{name}/{dtype}: no tensor of the two differs by more than {limit} of its size')
        return
    label = f'parity/{name}/{dtype}'
    if not all(os.path.exists(path) for path in files.values()):
        return s.skip(label, 'a trace is missing')
    worst, where, count = traces.worst_difference(files['cpu'], files['cuda'])
    s.note(label, 'passed' if worst <= limit else 'failed', tensors=count, worst=worst, where=where, limit=limit)
    for path in files.values():
        os.remove(path)


def main():
    s = session.Session('gpu-1', __doc__.split(': ', 1)[1])
    s.programs()
    names = [name for name, _ in session.families()]
    s.together([functools.partial(table, s, name) for name in (CUT_DOWN if s.emulated else names)], 6)
    if not s.emulated:
        on_device(s, 'golden/ellipsoid64', 'trace of the ellipsoids')
        on_device(s, 'golden/synface64', 'trace of the steps')
        on_device(s, 'waits_for_nothing', 'waits for nothing')
    # Files of traces hold f32. Adam's first update in f32 divides gradients near 0 by their own size, which magnifies how they were rounded.
    for name, dtype, limit in [('ellipsoid64', 'f64', 1e-6), ('ellipsoid64', 'f32', 1e-2)] + [('synface64', 'f64', 1e-6)] * (not s.emulated):
        parity(s, name, dtype, limit)
    s.finish()


if __name__ == '__main__':
    sys.exit(main())
