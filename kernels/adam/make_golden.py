#!/usr/bin/env python3
"""Writes golden.safetensors: parameters and moments after some steps of torch.optim.Adam, in f32 and f64.

adam.test.cpp repeats the runs: parameter k starts as u(CASE/parameterK), and its gradient in step t is u(CASE/gradientK/t), or missing where
(t + k) % 3 == 0 in the cases named so.
"""
import importlib.util
import pathlib

import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location('make_goldens', ROOT / 'tests/oracle/make_goldens.py')
tools = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tools)

SHAPES = [(1,), (5, 7), (3, 41)]
STEPS = 5
CASES = {
    'usual': dict(lr=1e-3),
    'decay': dict(lr=1e-4, weight_decay=5e-4),
    'first_moment_off': dict(lr=2e-3, betas=(0.0, 0.99), eps=1e-6),
    'half': dict(lr=0.05, betas=(0.5, 0.9)),
    'decay_missing': dict(lr=1e-2, weight_decay=0.1),
}


def hashed(name, shape, dtype):
    return tools.rounded(tools.hashed(name, shape)).to(dtype)


tensors = {}
for case, options in CASES.items():
    for dtype, suffix in ((torch.float32, 'f32'), (torch.float64, 'f64')):
        parameters = [hashed(f'{case}/parameter{k}', s, dtype).requires_grad_() for k, s in enumerate(SHAPES)]
        optimizer = torch.optim.Adam(parameters, foreach=False, **options)
        for t in range(1, STEPS + 1):
            for k, p in enumerate(parameters):
                missing = 'missing' in case and (t + k) % 3 == 0
                p.grad = None if missing else hashed(f'{case}/gradient{k}/{t}', p.shape, dtype)
            optimizer.step()
            for k, p in enumerate(parameters):
                if t in (1, STEPS) and p in optimizer.state:
                    state = optimizer.state[p]
                    for what, value in (('parameter', p), ('first', state['exp_avg']), ('second', state['exp_avg_sq'])):
                        tensors[f'{case}/{suffix}/{what}{k}/{t}'] = value.detach().double().numpy().copy()
path = pathlib.Path(__file__).parent / 'golden.safetensors'
path.write_bytes(tools.encode(tensors, {}))
print(f'{len(tensors)} tensors, {path.stat().st_size / 1024:.0f} KB')
