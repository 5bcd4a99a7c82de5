#!/usr/bin/env python3
"""What the CUDA kernels' requests to memory cost, by line of source, as the emulator counts them (tests/counted/memory_counts.h).

  cuda_memory.py --check    fails if a line costs more than in the committed list, or reads what nobody has written
  cuda_memory.py --write    rewrites that list, docs/benchmarks/cuda_memory.json
  cuda_memory.py --tables   runs all tables of cases and fails if a kernel reads what nobody has written
  cuda_memory.py --worst N  the lines that waste most, as a table

Device memory is counted in sectors of 32 bytes, shared memory in passes over its 32 banks; ideal is the least that the same requests could cost:
sectors that their different bytes would fill, passes without conflicts. The list has every kernel's sums, and the lines above the ideal. A line
that is not in it must be ideal. `make cuda-memory` writes it.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

from cuda_report import ROOT, brief, demangled, functions

LIST = os.path.join(ROOT, 'docs', 'benchmarks', 'cuda_memory.json')
LAUNCHES = ['--test-case=launches like a fit*']
TABLES = '--test-case=*table*of*cases*,*on*the*device*'
UNITS = {'device': 'sectors', 'shared': 'passes'}
SPARE = 1.03  # of a ratio: other addresses, other loops that the compiler takes apart
HELPERS = re.compile(r'engine/(simt/|cuda/(pack|ptx|launch)\.cuh)')  # whoever called them is of interest
FIELDS = ['requests', 'bytes', 'units', 'ideal', 'unwritten']

Line = collections.namedtuple('Line', 'kernel memory access width file text')


def run(program, arguments):
    """One tuple for each instruction: (kernel address, place, launch, memory, access, width, *FIELDS)"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'counts')
        environment = dict(os.environ, G2S_TEST_DEVICE='cuda', G2S_SIMT_MEMORY=path)
        done = subprocess.run([program, *arguments, '--no-intro=true'], env=environment, capture_output=True, text=True)
        if done.returncode != 0 or re.search(r'test cases: *0 [|]', done.stdout):
            sys.exit(f'{done.stdout}{done.stderr}{program} failed')
        with open(path) as f:
            rows = [line.split() for line in f]
    return [(int(r[0], 16), int(r[1], 16), r[2], r[3], r[4], int(r[5]), *map(int, r[6:])) for r in rows]


def within(path):
    """The path in the repository, wherever it was compiled."""
    found = re.search(r'(?:^|.*/)((?:engine|kernels|tests)/(?!.*\.\./).+)$', os.path.normpath(path))  # the last one: a clone may be called so too
    return found[1] if found else ''


def places(program, addresses):
    """address -> (file, line): of the frames that were inlined there, the innermost that is not a helper's"""
    addresses = sorted(set(addresses))
    asked = '\n'.join(hex(a - 1) for a in addresses)  # within the call
    out = subprocess.run(['addr2line', '-a', '-i', '-e', program], input=asked, capture_output=True, text=True, check=True).stdout
    frames = []
    for line in out.split('\n'):
        if line.startswith('0x'):
            frames.append([])
        elif m := re.match(r'(.*):(\d+)', line):
            if within(m[1]):
                frames[-1].append((within(m[1]), int(m[2])))
    if len(frames) != len(addresses):
        sys.exit('addr2line does not know the program')
    return {a: next((f for f in found if not HELPERS.match(f[0])), found[0] if found else ('?', 0)) for a, found in zip(addresses, frames)}


class Texts:
    """Lines are known by what they say, so that others may come before them."""
    def __init__(self):
        self.files = {}

    def get(self, file, line):
        if file not in self.files:
            path = os.path.join(ROOT, file)
            self.files[file] = open(path).read().split('\n') if os.path.exists(path) else []
        lines = self.files[file]
        return lines[line - 1].strip() if 0 < line <= len(lines) else '?'


def count(program, arguments):
    """Line -> (fields, numbers of its lines)"""
    rows = run(program, arguments)
    symbols, where = functions(program), places(program, [r[1] for r in rows])
    full = demangled({symbols[r[0]] for r in rows if r[0] in symbols})
    texts, out = Texts(), {}
    for kernel, place, launch, memory, access, width, *numbers in rows:
        if kernel not in symbols:
            sys.exit(f'the program has no function for a kernel of {launch}')
        file, number = where[place]
        key = Line(f'{launch}: {brief(full[symbols[kernel]])}', memory, access, width, file, texts.get(file, number))
        sums, at = out.setdefault(key, (dict.fromkeys(FIELDS, 0), set()))
        for field, value in zip(FIELDS, numbers):
            sums[field] += value
        at.add(number)
    return out


def ratio(sums):
    return sums['units'] / sums['ideal'] if sums['ideal'] else 1.0


def kernel_sums(lines):
    """(kernel, memory) -> fields"""
    out = {}
    for key, (sums, _) in lines.items():
        total = out.setdefault((key.kernel, key.memory), dict.fromkeys(FIELDS, 0))
        for field in FIELDS:
            total[field] += sums[field]
    return out


def budget(row, memory):
    return {'units': row[UNITS[memory]], 'ideal': row['ideal']}


def described(sums, memory):
    return {'requests': sums['requests'], 'bytes': sums['bytes'], UNITS[memory]: sums['units'], 'ideal': sums['ideal']}


def write(lines, compiler):
    kernels = [json.dumps({'kernel': kernel, 'memory': memory, **described(sums, memory)}) for (kernel, memory), sums in sorted(kernel_sums(lines).items())]
    above = [json.dumps({**key._asdict(), **described(sums, key.memory)}) for key, (sums, _) in sorted(lines.items()) if sums['units'] > sums['ideal']]
    with open(LIST, 'w') as f:
        listed = lambda rows: ',\n'.join('  ' + row for row in rows)
        f.write(f'{{"compiler": {json.dumps(compiler)}, "kernels": [\n{listed(kernels)}\n], "lines": [\n{listed(above)}\n]}}\n')
    print(f'{LIST}: {len(kernels)} sums of kernels, {len(above)} of {len(lines)} lines above the ideal')


def unwritten(lines):
    return [f"{key.file}:{min(at)}: {key.kernel} reads {key.memory} memory that nobody has written, {sums['unwritten']} times"
            for key, (sums, at) in sorted(lines.items()) if sums['unwritten']]


def check(lines, compiler):
    with open(LIST) as f:
        committed = json.load(f)
    wrong, notes = unwritten(lines), []
    sums_of = {(row['kernel'], row['memory']): budget(row, row['memory']) for row in committed['kernels']}
    for (kernel, memory), sums in sorted(kernel_sums(lines).items()):
        if (kernel, memory) not in sums_of:
            wrong.append(f'{kernel} is not in the list: make cuda-memory')
        elif ratio(sums) > ratio(sums_of[kernel, memory]) * SPARE:
            wrong.append(f"{kernel}: {ratio(sums):.2f} times the ideal {UNITS[memory]} of {memory} memory, the list has {ratio(sums_of[kernel, memory]):.2f}")
    if committed['compiler'] != compiler:
        notes.append(f"the list was made by {committed['compiler']}, this is {compiler}: only sums of kernels were compared")
        return wrong, notes
    budgets = {Line(*(row[f] for f in Line._fields)): ratio(budget(row, row['memory'])) for row in committed['lines']}
    for key, (sums, at) in sorted(lines.items()):
        allowed = budgets.get(key, 1.0)
        if ratio(sums) > allowed * SPARE:
            wrong.append(f'{key.file}:{min(at)}: {key.kernel}: {key.access} of {key.width} bytes: {ratio(sums):.2f} times the ideal {UNITS[key.memory]}, '
                         f"the list has {allowed:.2f}")
    return wrong, notes


def worst(lines, most):
    """Lines by what they waste, kernels together."""
    together = {}
    for key, (sums, at) in lines.items():
        of_line, numbers, kernels = together.setdefault((key.file, key.text, key.memory, key.access, key.width), (dict.fromkeys(FIELDS, 0), set(), set()))
        for field in FIELDS:
            of_line[field] += sums[field]
        numbers |= at
        kernels.add(key.kernel.split(':')[0])
    ranked = sorted(together.items(), key=lambda row: (-ratio(row[1][0]), row[0]))
    print('| line | launches | access | requests | units a request | ideal |\n|---|---|---|---|---|---|')
    for (file, _, memory, access, width), (sums, numbers, kernels) in ranked[:most]:
        if sums['units'] > sums['ideal']:
            print(f"| `{file}:{min(numbers)}` | {', '.join(sorted(kernels))} | {memory} {access}, {width} bytes | {sums['requests']} | "
                  f"{sums['units'] / sums['requests']:.1f} {UNITS[memory]} | {sums['ideal'] / sums['requests']:.1f} |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--program', required=True, help='g2s_tests_counted')
    p.add_argument('--compiler', default='', help='its compiler: lines are compared only with those of the same one')
    p.add_argument('--launches', default=LAUNCHES[0].split('=')[1], help='test cases of the program that are counted')
    p.add_argument('--files', default='*/kernels/*', help='with --tables: of these test files')
    p.add_argument('--no-files', default='', help='with --tables: but not of these')
    mode = p.add_mutually_exclusive_group(required=True)
    mode.add_argument('--check', action='store_true')
    mode.add_argument('--write', action='store_true')
    mode.add_argument('--tables', action='store_true')
    mode.add_argument('--worst', type=int, metavar='N')
    a = p.parse_args()
    tables = [TABLES, f'--source-file={a.files}', *([f'--source-file-exclude={a.no_files}'] if a.no_files else [])]
    lines = count(a.program, tables if a.tables else [f'--test-case={a.launches}'])
    if a.write:
        return write(lines, a.compiler)
    if a.worst:
        return worst(lines, a.worst)
    wrong, notes = (unwritten(lines), []) if a.tables else check(lines, a.compiler)
    for line in notes + wrong:
        print(line)
    print(f'{len(lines)} lines of kernels, {len(wrong)} faults')
    sys.exit(1 if wrong or not lines else 0)


if __name__ == '__main__':
    main()
