#!/usr/bin/env python3
"""How large the library is, stripped, with everything that it pulls in, beside LibTorch.

library_sizes.py --write [--cpu BUILD] [--cuda BUILD] [--torch FOLDER]    measures what is named into docs/benchmarks/library_sizes.json, keeps the rest,
                                                                          and rewrites the table of docs/embedding.md
library_sizes.py --check    fails unless the table is what the file says

BUILD is a build folder, with -DG2S_CUDA=OFF or ON. FOLDER holds libtorch_cpu.so: the lib/ of LibTorch or of the Python package torch.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILE = os.path.join(ROOT, 'docs', 'benchmarks', 'library_sizes.json')
PAGE = os.path.join(ROOT, 'docs', 'embedding.md')
BEGIN, END = '<!-- library_sizes.py -->\n', '<!-- end -->\n'

LIBC = re.compile(r'^(libc|libm|libdl|librt|libutil|libpthread|ld-linux[^.]*|linux-vdso)\.so')
# What only builds of PyTorch with CUDA are linked with; the package for CPUs has none of it.
CUDA = re.compile(r'^lib(cudart|cupti|nvrtc|nvToolsExt|cublas|cudnn)')


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def stripped(path):
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, 'copy')
        shutil.copyfile(os.path.realpath(path), copy)
        run('strip', '--strip-unneeded', copy)
        return os.path.getsize(copy)


def closure(path, own=()):
    """What is loaded with it beyond libc: {name: bytes, stripped}."""
    sizes = {}
    for name, file in re.findall(r'^\s*(\S+) => (\S+) \(', run('ldd', path), re.M):
        if not LIBC.match(name) and not CUDA.match(name) and name not in own:
            sizes[name] = stripped(file)
    return sizes


def measure_build(folder):
    library = os.path.join(folder, 'lib', 'libgan2shape.so')
    program = os.path.join(folder, 'bin', 'gan2shape')
    cache = open(os.path.join(folder, 'CMakeCache.txt')).read()
    architectures = re.search(r'^G2S_CUDA_ARCHITECTURES:\w+=(.*)$', cache, re.M)
    has_cuda = bool(re.search(r'^CMAKE_CUDA_COMPILER:\w+=/', cache, re.M))
    return {'library': stripped(library), 'program': stripped(program), 'needs': closure(library),
            'architectures': architectures.group(1).split(';') if has_cuda else []}


def measure_torch(folder):
    names = ['libtorch_cpu.so', 'libc10.so']
    needs = closure(os.path.join(folder, 'libtorch_cpu.so'), names)
    version = os.path.join(os.path.dirname(folder), 'version.py')
    found = re.search(r"__version__ = '([^']+)'", open(version).read()) if os.path.exists(version) else None
    return {'version': found.group(1) if found else '', 'library': sum(stripped(os.path.join(folder, name)) for name in names), 'needs': needs}


def megabytes(size):
    return f'{size / 1e6:.1f}' if size >= 5e4 else f'{size / 1e6:.2f}'


def row(name, entry):
    needs = entry['needs']
    pulled = sum(needs.values())
    program = megabytes(entry['program']) if 'program' in entry else ''
    return f"| {name} | {megabytes(entry['library'])} | {program} | {megabytes(pulled)} in {len(needs)} | {megabytes(entry['library'] + pulled)} |\n"


def table(sizes):
    text = '| MB, stripped | library | program | what it pulls in | in all |\n|---|---|---|---|---|\n'
    text += row('libgan2shape without CUDA', sizes['cpu'])
    text += row(f"libgan2shape with CUDA ({', '.join(sizes['cuda']['architectures'])})", sizes['cuda'])
    text += row(f"`libtorch_cpu.so` and `libc10.so` of PyTorch {sizes['torch']['version']}", sizes['torch'])
    return text + f"\nThe default weights are {megabytes(sizes['assets'])} MB more.\n"


def page_with(text):
    page = open(PAGE).read()
    before, rest = page.split(BEGIN)
    return before + BEGIN + text + END + rest.split(END)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ('--write', '--check'):
        parser.add_argument(option, action='store_true')
    for option in ('--cpu', '--cuda', '--torch'):
        parser.add_argument(option)
    args = parser.parse_args()
    sizes = json.load(open(FILE)) if os.path.exists(FILE) else {}
    if args.write:
        if args.cpu:
            sizes['cpu'] = measure_build(args.cpu)
        if args.cuda:
            sizes['cuda'] = measure_build(args.cuda)
            if not sizes['cuda']['architectures']:
                sys.exit(f'{args.cuda} was built without CUDA')
        if args.torch:
            sizes['torch'] = measure_torch(args.torch)
        assets = os.path.join(ROOT, 'assets')
        sizes['assets'] = sum(os.path.getsize(os.path.join(assets, name)) for name in os.listdir(assets) if name.endswith('.safetensors'))
        with open(FILE, 'w') as out:
            out.write(json.dumps(sizes, indent=1, sort_keys=True) + '\n')
        text = page_with(table(sizes))
        with open(PAGE, 'w') as out:
            out.write(text)
    elif args.check:
        if page_with(table(sizes)) != open(PAGE).read():
            sys.exit('docs/embedding.md has another table than docs/benchmarks/library_sizes.json: library_sizes.py --write')
    else:
        parser.error('--write or --check')


if __name__ == '__main__':
    main()
