#!/usr/bin/env python3
"""make gpu-2: compute-sanitizer's memcheck, racecheck, initcheck and synccheck over the kernels, each operator's smallest case with derivatives."""
import functools
import glob
import json
import os
import sys
import tempfile

import session

TOOLS = ['memcheck', 'racecheck', 'initcheck', 'synccheck']
FOUND = 99  # compute-sanitizer's exit code where it found something


def sanitizer():
    places = ['/usr/local/cuda*/bin/compute-sanitizer', '/usr/local/cuda*/compute-sanitizer/compute-sanitizer', '/opt/nvidia/*/compute-sanitizer/compute-sanitizer']
    return session.which('compute-sanitizer') or next((path for place in places for path in sorted(glob.glob(place))), None)


def check(s, program, tool, name, arguments, environment, lists, seconds):
    command = [s.program('g2s_tests'), '--no-intro=true', *arguments]
    if program:
        command = [program, '--tool', tool, '--error-exitcode', str(FOUND), '--print-limit', '20', *command]
    launches = os.path.join(lists, f'{tool}_{name}')
    s.step(f'{tool}/{name}', command, seconds, session.doctest_counts, {'G2S_TEST_DEVICE': 'cuda', 'G2S_LIST_LAUNCHES': launches, **environment})


def family(s, program, tool, name, cases, lists):
    arguments = [f'--source-file=*/kernels/{name}/*', f'--test-case={name},{name}:*table*of*cases*,{name}:*on*the*device*']
    check(s, program, tool, name, arguments, {'G2S_CASE': ','.join(cases)} if cases else {}, lists, 120)


def steps(s, program, tool, lists):
    """Two iterations of each step with small networks."""
    check(s, program, tool, 'steps', ['--source-file=*/tests/device.test.cpp', '--test-case=*waits for nothing*'], {}, lists, 240)


def covered(lists, tool):
    names = set()
    for path in glob.glob(os.path.join(lists, tool + '_*')):
        with open(path) as f:
            names.update(f.read().split())
    return names


def expected():
    """The kernels of an iteration of the steps."""
    with open(os.path.join(session.ROOT, 'tests', 'golden', 'launches.json')) as f:
        return {name for trace in json.load(f).values() for name in trace}


def main():
    s = session.Session('gpu-2', __doc__.split(': ', 1)[1])
    program = '' if s.emulated else sanitizer() or 'compute-sanitizer'
    s.programs()
    if program == 'compute-sanitizer' and not s.dry:
        s.skip('compute-sanitizer', 'it is not on this machine')
        s.finish('compute-sanitizer is missing')
    with tempfile.TemporaryDirectory() as lists:
        calls = []
        for tool in TOOLS[:1] if s.emulated else TOOLS:
            for name, cases in session.families():
                calls.append(functools.partial(family, s, program, tool, name, session.smallest_of_each(cases), lists))
            if not s.emulated:
                calls.append(functools.partial(steps, s, program, tool, lists))
        s.together(calls, 2 if s.emulated else 6)
        if not s.dry:
            for tool in TOOLS[:1] if s.emulated else TOOLS:
                names = covered(lists, tool)
                s.doc.setdefault('kernels', {})[tool] = {'launched': sorted(names), 'of_a_step_but_not_launched': sorted(expected() - names)}
    s.finish()


if __name__ == '__main__':
    sys.exit(main())
