#!/usr/bin/env python3
"""usage: cuda_sass.py [--cuobjdump PROGRAM] [--list] OBJECT...

Looks at the machine code of the matrix products in objects of nvcc, for devices with tensor cores: no kernel of them may use local memory, and
the loop that multiplies must have the instructions that it was written for. Prints what is wrong, or with --list all kernels; exits with 1 if
something is. cuobjdump needs nvdisasm beside it or on PATH."""
import argparse
import collections
import re
import subprocess
import sys

MODES = ['fma', 'bf16', 'tf32']  # as MathMode
TILES = ['narrow', 'medium', 'large', 'f64']  # as GemmTile
INSTRUCTION = re.compile(r'^\s+/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)(.*?);')


def kernels(program, path):
    """(arch, mangled name, [(address, opcode, operands)])"""
    text = subprocess.run([program, '-sass', path], check=True, capture_output=True, text=True).stdout
    arch, name, code = None, None, []
    for line in text.splitlines():
        if m := re.match(r'\s*code for (\S+)', line):
            arch = m.group(1)
        elif m := re.match(r'\s*Function : (\S+)', line):
            if name:
                yield name[0], name[1], code
            name, code = (arch, m.group(1)), []
        elif m := INSTRUCTION.match(line):
            code.append((int(m.group(1), 16), m.group(2), m.group(3)))
    if name:
        yield name[0], name[1], code


def hot_loop(code, multiplies):
    """The smallest loop with the most instructions that multiply."""
    best = []
    for address, opcode, operands in code:
        m = re.search(r'0x([0-9a-f]+)\s*$', operands)
        if not opcode.startswith('BRA') or not m or int(m.group(1), 16) >= address:
            continue
        loop = [c for c in code if int(m.group(1), 16) <= c[0] <= address]
        count = [sum(c[1].startswith(multiplies) for c in l) for l in (loop, best)]
        if count[0] > count[1] or (count[0] == count[1] and count[0] > 0 and len(loop) < len(best)):
            best = loop
    return best


class Kernel:
    def __init__(self, arch, name, code):
        self.arch, self.name, self.code = arch, name, code
        tile = re.search(r'TensorTileILNS\w*?MathModeE(\d)ELNS\w*?GemmTileE(\d)E', name)
        self.tensor = tile is not None
        self.mode = MODES[int(tile.group(1))] if tile else 'fma'
        self.tile = TILES[int(tile.group(2))] if tile else TILES[int(re.search(r'GemmTileE(\d)E', name).group(1))]
        self.f64 = not tile and 'TileId' in name
        self.product = re.search(r'\d(Matmul|Forward|InputGrad|WeightGrad)I', name).group(1)
        rest = name[name.index(self.product):]
        flags = re.findall(r'Lb([01])E', rest)
        self.vectors = '0' not in flags[:2 if self.product in ('InputGrad', 'WeightGrad') else 1]
        self.modulated = self.product in ('Forward', 'InputGrad') and flags[-1] == '1'
        self.layout = ''.join('k' if w == 'K' else 'o' for w in re.findall(r'MatrixAlong(K|Outer)I', rest)[:2])
        self.layout = {'k': 'kk', 'o': 'oo'}.get(self.layout, self.layout) or {'Forward': 'kk', 'InputGrad': 'ko', 'WeightGrad': 'oo'}[self.product]
        multiplies = 'DFMA' if self.f64 else {'fma': 'FFMA', 'bf16': 'HMMA.16816.F32.BF16'}.get(self.mode, 'HMMA.1688.F32.TF32')
        self.loop = hot_loop(code, multiplies)
        self.counts = collections.Counter(self.kind(opcode, multiplies) for _, opcode, _ in self.loop)
        self.local = sum(opcode.split('.')[0] in ('LDL', 'STL') for _, opcode, _ in code)

    @staticmethod
    def kind(opcode, multiplies):
        if opcode.startswith(multiplies):
            return 'multiply'
        parts = opcode.split('.')
        if parts[0] == 'LDGSTS' and '128' in parts:
            return 'copy.128'
        if parts[0] in ('LDG', 'LD') and '128' in parts:
            return parts[0].lower() + '.128'
        return 'ldsm' if parts[0] == 'LDSM' else ''

    def wrong(self):
        copied = self.mode == 'tf32' and not self.modulated
        wanted = ['multiply']
        if self.mode == 'bf16' or (self.tensor and 'k' in self.layout):
            wanted.append('ldsm')
        if copied:
            wanted.append('copy.128')
        elif self.vectors and not self.f64:
            wanted.append('ldg.128')
        found = [f'no {w} in its loop' for w in wanted if not self.counts[w]]
        if self.local and not self.f64:
            found.append(f'{self.local} accesses of local memory')
        if self.counts['ld.128']:
            found.append('loads whose memory the compiler does not know')
        return found

    def __str__(self):
        counts = ', '.join(f'{n} {k}' for k, n in sorted(self.counts.items()) if k)
        return (f"{self.arch} {self.product} {'f64' if self.f64 else self.mode} {self.tile} {self.layout}"
                f"{'' if self.vectors else ' by element'}{' modulated' if self.modulated else ''}: {len(self.loop)} instructions in the loop, {counts}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cuobjdump', default='cuobjdump')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('objects', nargs='+')
    options = parser.parse_args()
    bad = seen = 0
    for path in options.objects:
        for arch, name, code in kernels(options.cuobjdump, path):
            if ('gemm_kernel' not in name and 'tensor_kernel' not in name) or int(re.search(r'\d+', arch).group()) < 80:
                continue
            kernel = Kernel(arch, name, code)
            seen += 1
            wrong = kernel.wrong()
            bad += bool(wrong)
            if wrong or options.list:
                print(str(kernel) + (': WRONG, ' + ', '.join(wrong) if wrong else ''))
    print(f'{seen} kernels, {bad} wrong')
    return 1 if bad or not seen else 0


if __name__ == '__main__':
    sys.exit(main())
