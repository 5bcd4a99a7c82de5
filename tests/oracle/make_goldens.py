#!/usr/bin/env python3
"""Computes kernels/<family>/golden.safetensors in f64 with PyTorch from cases.json and oracle.py of the family.

    make_goldens.py [FAMILY...]           write them (all families with an oracle.py when none is named)
    make_goldens.py --check [FAMILY...]   compare with the committed files instead; the exit status says whether any is out of date

Needs torch and numpy. The bytes depend on the cases and the oracle alone.
"""
import argparse
import importlib.util
import json
import pathlib
import struct
import sys

import numpy as np
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
MASK = (1 << 64) - 1
TOY = 'tests/support/toy'  # the family that tests the checks themselves
SKETCH_SIZE = 512  # buckets, as in tests/support/cases.cpp


def fnv1a64(text):
    h = 0xCBF29CE484222325
    for b in text.encode():
        h = ((h ^ b) * 0x100000001B3) & MASK
    return h


def hashed(name, shape):
    """engine/hashed_tensor.h: float64 in [-1, 1)."""
    n = int(np.prod(shape, dtype=np.int64))
    with np.errstate(over='ignore'):
        x = np.arange(n, dtype=np.uint64) + np.uint64(fnv1a64(name)) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return ((x >> np.uint64(11)).astype(np.float64) * 2.0 ** -53 * 2 - 1).reshape(shape)


def rounded(values):
    return torch.from_numpy(np.asarray(values, dtype=np.float32).astype(np.float64))


def make_input(family, case, k):
    spec = case['inputs'][k]
    if spec is None:
        return None
    if spec.get('values'):
        v = np.array(spec['values'], dtype=np.float64).reshape(spec['shape'])
    else:
        v = spec.get('scale', 1.0) * hashed(f'{family}/{case["name"]}/{k}', spec['shape']) + spec.get('offset', 0.0)
    for kink in spec.get('away', []):
        margin = spec['margin']
        distance = np.abs(v - kink)
        v = np.where(distance < margin, kink + np.where(v < kink, -1.0, 1.0) * (margin + distance), v)
    return rounded(v)


def sketch(x, size=SKETCH_SIZE):
    if x.size <= 2 * size:
        return x
    u = hashed('sketch', (x.size,))
    out = np.zeros(size)
    np.add.at(out, ((u + 1) * 2.0 ** 52).astype(np.int64) % size, np.where(u < 0, -1.0, 1.0) * x.ravel())
    return out


def fingerprint(case):
    parts = {k: case[k] for k in ('name', 'op', 'inputs', 'attrs', 'grad', 'second') if k in case}
    return f'{fnv1a64(json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)):x}'


def run_case(family, case, oracle):
    label = f'{family}/{case["name"]}'
    inputs = [make_input(family, case, k) for k in range(len(case['inputs']))]
    which = case.get('grad', [])
    wanted = [inputs[k].requires_grad_() for k in which]
    out = oracle.run(case['op'], case.get('attrs', {}), inputs)
    if out.dtype != torch.float64:
        raise SystemExit(f'{label}: the oracle gave {out.dtype}, not float64')
    results = {'out': out}
    if which:
        second = case.get('second', False)
        dy = rounded(hashed(f'{label}/dy', tuple(out.shape))).requires_grad_(second)
        first = torch.autograd.grad(out, wanted, dy, create_graph=second)
        results |= {f'grad{k}': g for k, g in zip(which, first)}
        if second:
            total = sum((g * rounded(hashed(f'{label}/ddy{k}', tuple(g.shape)))).sum() for k, g in zip(which, first))
            names = [f'second{k}' for k in which] + ['second_dy']
            for name, x, g in zip(names, wanted + [dy], torch.autograd.grad(total, wanted + [dy], allow_unused=True)):
                results[name] = torch.zeros_like(x) if g is None else g
    arrays = {}
    for what, value in results.items():
        array = np.array(value.detach().numpy(force=True), order='C')  # ascontiguousarray would make a scalar [1]
        if not np.isfinite(array).all():
            raise SystemExit(f'{label}/{what}: not finite')
        arrays[f'{case["name"]}/{what}'] = sketch(array)
    return arrays


def folder_of(family):
    """kernels/<family>, or a folder of the repository when the name is a path."""
    return ROOT / (family if '/' in family else f'kernels/{family}')


def run_family(family):
    folder = folder_of(family)
    cases = json.loads((folder / 'cases.json').read_text())['cases']
    spec = importlib.util.spec_from_file_location('oracle', folder / 'oracle.py')
    oracle = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(oracle)
    tensors, metadata = {}, {}
    for case in cases:
        if case['name'] in metadata:
            raise SystemExit(f'{family}: two cases are named {case["name"]}')
        tensors |= run_case(family, case, oracle)
        metadata[case['name']] = fingerprint(case)
    return tensors, metadata


def encode(tensors, metadata):
    header, offset = {'__metadata__': metadata}, 0
    for name, array in tensors.items():
        header[name] = {'dtype': 'F64', 'shape': list(array.shape), 'data_offsets': [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    return struct.pack('<Q', len(text)) + text + b''.join(a.astype('<f8').tobytes() for a in tensors.values())


def decode(data):
    size = struct.unpack('<Q', data[:8])[0]
    header = json.loads(data[8:8 + size])
    metadata = header.pop('__metadata__')
    tensors = {}
    for name, t in header.items():
        begin, end = t['data_offsets']
        tensors[name] = np.frombuffer(data[8 + size + begin:8 + size + end], '<f8').reshape(t['shape'])
    return tensors, metadata


def differences(family, tensors, metadata):
    path = folder_of(family) / 'golden.safetensors'
    if not path.exists():
        return [f'{path} is missing']
    old_tensors, old_metadata = decode(path.read_bytes())
    found = [f'{family}/{n}: the case has changed' for n in metadata if old_metadata.get(n) != metadata[n]]
    found += [f'{family}/{n}: no such case any more' for n in old_metadata if n not in metadata]
    for name, new in tensors.items():
        old = old_tensors.get(name)
        # Another machine or version of PyTorch sums in another order.
        if old is None or old.shape != new.shape or np.linalg.norm(old - new) > 1e-12 * max(np.linalg.norm(new), 1e-300):
            found.append(f'{family}/{name}: the oracle gives other values now')
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('family', nargs='*')
    parser.add_argument('--check', action='store_true', help='compare instead of writing')
    args = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    families = args.family or sorted(p.parent.name for p in (ROOT / 'kernels').glob('*/oracle.py')) + [TOY]
    stale = False
    for family in families:
        tensors, metadata = run_family(family)
        if args.check:
            found = differences(family, tensors, metadata)
            print(f'{family}: {"out of date" if found else "up to date"}')
            for line in found:
                print('  ' + line)
            stale = stale or bool(found)
            continue
        data = encode(tensors, metadata)
        (folder_of(family) / 'golden.safetensors').write_bytes(data)
        print(f'{family}: {len(metadata)} cases, {len(data) / 1024:.0f} KB')
    return 1 if stale else 0


if __name__ == '__main__':
    sys.exit(main())
