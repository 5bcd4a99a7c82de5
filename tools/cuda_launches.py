#!/usr/bin/env python3
"""Writes docs/benchmarks/cuda_launches.json: what one iteration of each step launches at the face preset's sizes, and what nvcc made of those kernels.

cuda_launches.py --bench build/bin/g2s_bench_emulated --cuobjdump PROGRAM OBJECT...    rewrites it (OBJECT: of nvcc, all of them)
cuda_launches.py --bench build/bin/g2s_bench_emulated --check                       fails if the list is too old for the model

The emulated benchmark runs with G2S_SIMT_RECORD (tools/cuda_launches.cpp): kernels are written down, not run, so that the sizes are the real ones. The
launches after the last wait that is followed by any are one iteration. Instructions are counted in the machine code.
"""
import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile

import cuda_report
import cuda_sass

FILE = os.path.join(cuda_report.ROOT, 'docs', 'benchmarks', 'cuda_launches.json')
STEPS = {'step 1': 'step1_128', 'step 2': 'step2_128_b16', 'step 3': 'step3_128_b16'}
SPARE = 0.05  # of launches and bytes
FIELDS = ['name', 'kernel', 'blocks', 'threads', 'shared', 'bytes', 'products', 'k_steps', 'count']


def record(bench, case):
    """Launches of one iteration, merged: FIELDS but for the kernel, which is its address."""
    with tempfile.NamedTemporaryFile(suffix='.launches') as f:
        subprocess.run([bench, '--case', case, '--device', 'cuda', '--repeat', '1', '--warm-up', '1', '--json'], check=True, capture_output=True,
                       env=dict(os.environ, G2S_SIMT_RECORD=f.name))
        parts = [part.split('\n') for part in f.read().decode().split('wait\n')]
    between = [lines for lines in ([line for line in part if line] for part in parts) if lines]
    if len(between) < 2:
        sys.exit(f'{case}: no launches of one iteration were recorded')
    lines = between[-1]  # nothing is launched after the last repetition
    counts = collections.Counter()
    for line in lines:
        _, name, address, x, y, z, threads, shared, size, _, products, steps = line.split()
        counts[name, int(address, 16), (int(x), int(y), int(z)), int(threads), int(shared), int(size), int(products), int(steps)] += 1
    return counts


def steps_of(bench):
    names = cuda_report.functions(bench)
    recorded = {step: record(bench, case) for step, case in STEPS.items()}
    used = {names[key[1]] for counts in recorded.values() for key in counts}
    full = cuda_report.demangled(used)
    steps = {}
    for step, counts in recorded.items():
        rows = [[key[0], cuda_report.brief(full[names[key[1]]]), list(key[2]), *key[3:], count] for key, count in counts.items()]
        steps[step] = sorted(rows)
    return steps, {cuda_report.brief(text): text for text in full.values()}


def compiled(objects, cuobjdump, full):
    """Of each kernel used, by architecture: registers, static shared memory, instructions, and of products those of the loop that multiplies."""
    by_full = {k.full: k for k in cuda_report.read_messages(objects)}
    wanted = {by_full[text].mangled: brief for brief, text in full.items() if text in by_full}
    missing = [brief for brief, text in full.items() if text not in by_full]
    if missing:
        sys.exit(f'not among the objects: {", ".join(missing[:5])}')
    out = {}
    for brief, text in full.items():
        kernel = by_full[text]
        out[brief] = {'file': kernel.file, **{arch: {key: facts[key] for key in ('registers', 'shared')} for arch, facts in kernel.by_architecture.items() if arch in cuda_report.DEVICES}}
    for path in objects:
        for arch, mangled, code in cuda_sass.kernels(cuobjdump, path):
            if mangled in wanted and arch in out[wanted[mangled]]:
                row = out[wanted[mangled]][arch]
                # Behind the last exit there is padding.
                row['instructions'] = 1 + max(i for i, c in enumerate(code) if c[1].split('.')[0] == 'EXIT')
                if 'gemm_kernel' in mangled:
                    loop = cuda_sass.hot_loop(code, 'FFMA')
                    row['loop'], row['loop_multiplies'] = len(loop), sum(c[1].startswith('FFMA') for c in loop)
    return out


def drift(step, before, now):
    """What makes the committed list too old for the model: other arithmetic, or launches or bytes that changed by more than SPARE."""
    for what, of in (('multiply-adds', lambda row: row[6] * row[8]), ('launches', lambda row: row[8]), ('bytes', lambda row: row[5] * row[8])):
        was, is_now = sum(map(of, before)), sum(map(of, now))
        if abs(is_now - was) > (0 if what == 'multiply-adds' else SPARE) * was:
            yield f'{step}: {is_now} {what}, the list has {was}: make cuda-model'


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('objects', nargs='*')
    p.add_argument('--bench', required=True)
    p.add_argument('--cuobjdump', default='cuobjdump')
    p.add_argument('--check', action='store_true')
    a = p.parse_args()
    steps, full = steps_of(a.bench)
    if a.check:
        with open(FILE) as f:
            committed = json.load(f)['steps']
        wrong = [line for step in STEPS for line in drift(step, committed[step], steps[step])]
        for line in wrong:
            print(line)
        print(f'{sum(row[-1] for rows in steps.values() for row in rows)} launches, {len(wrong)} faults')
        sys.exit(1 if wrong else 0)
    kernels = compiled(a.objects, a.cuobjdump, full)
    with open(FILE, 'w') as f:
        rows = ',\n'.join(f' {json.dumps(step)}: [\n' + ',\n'.join('  ' + json.dumps(row) for row in rows) + ']' for step, rows in steps.items())
        facts = ',\n'.join(f'  {json.dumps(name)}: {json.dumps(kernels[name])}' for name in sorted(kernels))
        f.write(f'{{"fields": {json.dumps(FIELDS)}, "steps": {{\n{rows}}}, "kernels": {{\n{facts}}}}}\n')
    print(f'{FILE}: {len(kernels)} kernels')


if __name__ == '__main__':
    main()
