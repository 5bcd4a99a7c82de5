#!/usr/bin/env python3
"""What nvcc made of each kernel: registers, spills, local and shared memory, and how many blocks a multiprocessor holds.

  cuda_report.py --check OBJECT...   fails if a kernel that is not f64 spills or uses local memory, or needs over 8 registers more than in the committed list
  cuda_report.py --write OBJECT...   rewrites that list, docs/benchmarks/cuda_kernels.json

It reads what the compiler said about each object (cmake/keep_messages.sh). The sizes of blocks come from emulated launches: --launches FILE, which
G2S_SIMT_LAUNCHES=FILE made g2s_tests_emulated write, and --program g2s_tests_emulated. `make cuda-report` does all this.
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LIST = os.path.join(ROOT, 'docs', 'benchmarks', 'cuda_kernels.json')
SPARE_REGISTERS = 8
# Kernels whose sine and cosine keep the bits of 2 / pi for large arguments on a small stack: (file, name, bytes).
LARGE_ANGLES = [
    ('kernels/elementwise/elementwise.cu', r'each in launch_(unary|binary)<float, \d+> #\d', 32),
    ('kernels/geometry/geometry.cu', r'each in rotation(_backward)?<float> #1', 40),
]
DEVICES = {'sm_80': 'A100', 'sm_90': 'H100'}


def demangled(names):
    names = list(names)
    out = subprocess.run(['c++filt'], input='\n'.join(names), capture_output=True, text=True, check=True).stdout.split('\n')
    return dict(zip(names, out))


def without_arguments(name):
    """f<a, b>(c, d) -> f<a, b>: cuts at the parenthesis that the last one closes."""
    depth = 0
    for i in range(len(name) - 1, -1, -1):
        depth += {')': 1, '(': -1}.get(name[i], 0)
        if depth == 0:
            return name[:i] if name.endswith(')') else name
    return name


def brief(name):
    """g2s::kernels::(anonymous namespace)::f<float>(...) -> f<float>; each_kernel<g<float>(...)::{lambda(long)#2}>(...) -> each in g<float> #2"""
    name = re.sub(r'^void ', '', name)
    name = re.sub(r'\((?:g2s::|kernels::|cuda::|\(anonymous namespace\)::|[A-Z]\w*(?:<[^()<>]*>)?::)*[A-Z]\w*\)(\d+)', r'\1', name)  # enumerators
    name = without_arguments(name)
    name = re.sub(r'g2s::|kernels::|cuda::|simt::|\(anonymous namespace\)::', '', name)
    each = re.match(r'each_kernel<(.*)::\{lambda\(long\)#(\d+)\}(?: const)?>$', name)
    return f'each in {without_arguments(each[1])} #{each[2]}' if each else name


class Kernel:
    def __init__(self, mangled, file):
        self.mangled, self.file, self.by_architecture = mangled, file, {}


def read_messages(objects):
    kernels = {}
    for path in objects:
        file = os.path.normpath(re.sub(r'^.*\.dir/', '', path))[:-len('.o')]
        with open(path + '.messages') as f:
            current = None
            for line in f:
                if m := re.search(r"Compiling entry function '(\w+)' for '(\w+)'", line):
                    kernel = kernels.setdefault((file, m[1]), Kernel(m[1], file))
                    current = kernel.by_architecture.setdefault(m[2], {})
                elif current is not None and (m := re.search(r'(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads', line)):
                    current.update(local=int(m[1]), spill_stores=int(m[2]), spill_loads=int(m[3]))
                elif current is not None and (m := re.search(r'Used (\d+) registers', line)):
                    shared = re.search(r'(\d+) bytes smem', line)
                    current.update(registers=int(m[1]), shared=int(shared[1]) if shared else 0)
                    current = None
    names = demangled(k.mangled for k in kernels.values())
    for k in kernels.values():
        k.full = names[k.mangled]
        k.name = brief(k.full)
    return sorted(kernels.values(), key=lambda k: (k.file, k.name))


def functions(program):
    """The names of its functions, mangled, by address."""
    found = {}
    for line in subprocess.run(['nm', program], capture_output=True, text=True, check=True).stdout.split('\n'):
        parts = line.split()
        if len(parts) == 3 and parts[1] in 'tTwW':
            found[int(parts[0], 16)] = parts[2]
    return found


def read_launches(path, program):
    """The largest block that each kernel was launched with, by its whole name: threads and bytes of dynamic shared memory."""
    symbols = functions(program)
    largest = {}
    with open(path) as f:
        for line in f:
            address, threads, shared = line.split()[:3]
            name = symbols.get(int(address, 16))
            if name:
                largest[name] = max(largest.get(name, (0, 0)), (int(threads), int(shared)), key=lambda pair: (pair[1], pair[0]))
    names = demangled(largest)
    return {names[mangled]: pair for mangled, pair in largest.items()}


def occupancy(program, kernels, launches):
    wanted = [(k, arch, launches[k.full]) for k in kernels if k.full in launches for arch in k.by_architecture if arch in DEVICES]
    lines = [f"{arch[3:]} {k.by_architecture[arch]['registers']} {k.by_architecture[arch]['shared']} {threads} {shared}" for k, arch, (threads, shared) in wanted]
    out = subprocess.run([program], input='\n'.join(lines), capture_output=True, text=True, check=True).stdout.split()
    return {(k.mangled, arch): int(blocks) for (k, arch, _), blocks in zip(wanted, out)}


def rows(kernels, launches, blocks):
    for k in kernels:
        row = {'file': k.file, 'kernel': k.name}
        if k.full in launches:
            row['threads'], row['dynamic_shared'] = launches[k.full]
        for arch in sorted(set(k.by_architecture) & set(DEVICES)):
            row[arch] = dict(k.by_architecture[arch])
            if (k.mangled, arch) in blocks:
                row[arch]['blocks_per_sm'] = blocks[k.mangled, arch]
        yield row


def write(report):
    with open(LIST, 'w') as f:
        kernels = ',\n'.join('  ' + json.dumps(row) for row in report['kernels'])
        head = json.dumps({k: v for k, v in report.items() if k != 'kernels'})
        f.write(f'{head[:-1]}, "kernels": [\n{kernels}\n]}}\n')
    print(f"{LIST}: {len(report['kernels'])} kernels")


def check(kernels, nvcc):
    """What is wrong, as lines of text; and what could not be checked."""
    wrong, notes, budgets = [], collections.Counter(), {}
    if os.path.exists(LIST):
        with open(LIST) as f:
            committed = json.load(f)
        if committed['nvcc'] == nvcc:
            budgets = {(row['file'], row['kernel'], arch): row[arch]['registers'] for row in committed['kernels'] for arch in DEVICES if arch in row}
        else:
            notes[f"the list is of nvcc {committed['nvcc']}, this is {nvcc}: registers were not compared"] += 1
    for k in kernels:
        for arch, now in sorted(k.by_architecture.items()):
            where = f'{k.file}: {k.name} for {arch}'
            granted = max((size for file, name, size in LARGE_ANGLES if file == k.file and re.fullmatch(name, k.name)), default=0)
            if 'double' not in k.name and (now['local'] > granted or now['spill_stores'] + now['spill_loads'] > 0):
                wrong.append(f"{where}: {now['local']} bytes of local memory, {now['spill_stores']} and {now['spill_loads']} bytes spilled and read again")
            budget = budgets.get((k.file, k.name, arch))
            if budget is not None and now['registers'] > budget + SPARE_REGISTERS:
                wrong.append(f"{where}: {now['registers']} registers, the list has {budget}")
            elif budgets and budget is None and arch in DEVICES:
                notes['kernels are not in the list: make cuda-report'] += 1
    return wrong, [f'{count} {text}' if count > 1 else text for text, count in notes.items()]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('objects', nargs='+')
    p.add_argument('--nvcc', required=True, help='its version')
    p.add_argument('--occupancy', help='the program made of tools/cuda_occupancy.cpp')
    p.add_argument('--launches')
    p.add_argument('--program')
    mode = p.add_mutually_exclusive_group(required=True)
    mode.add_argument('--check', action='store_true')
    mode.add_argument('--write', action='store_true')
    a = p.parse_args()
    kernels = read_messages(a.objects)
    if not kernels:
        sys.exit('no kernel was found in what the compiler said')
    if a.write:
        launches = read_launches(a.launches, a.program) if a.launches else {}
        blocks = occupancy(a.occupancy, kernels, launches) if launches and a.occupancy else {}
        write({'nvcc': a.nvcc, 'devices': DEVICES, 'kernels': list(rows(kernels, launches, blocks))})
        return
    wrong, notes = check(kernels, a.nvcc)
    for line in notes + wrong:
        print(line)
    print(f"{len(kernels)} kernels, {len(wrong)} faults")
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
