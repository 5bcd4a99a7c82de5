#!/usr/bin/env python3
"""make gpu-3: g2s_bench on the device beside PyTorch, in turns: eager, compiled, TF32 and bfloat16 autocast, channels last."""
import os
import subprocess
import sys

import session

CUT_DOWN = ['op_smooth_16x128_fwdbwd']
FIRST = ['step2_128_b16', 'step1_128', 'step3_128_b16', 'G128_b8_fwdbwd', 'LPIPS128_b16_fwdbwd', 'op_conv_vgg_16x64_128_128_fwd', 'op_conv_vgg_16x64_128_128_dx']
MODES = [('eager', 'f32'), ('eager', 'tf32'), ('eager', 'bf16'), ('compiled', 'f32'), ('compiled', 'tf32'), ('compiled', 'bf16')]
TORCH = os.path.join('bench', 'torch_cases.py')


def ordered(names):
    """What matters most first: time may run out."""
    return [name for name in FIRST if name in names] + [name for name in names if name not in FIRST and not name.startswith('warp_canon_depth512')]


def torch_cases():
    """The cases that torch_cases.py has, or why there are none."""
    done = subprocess.run([sys.executable, TORCH, '--list'], cwd=session.ROOT, capture_output=True, text=True)
    return (done.stdout.split(), '') if done.returncode == 0 else ([], (done.stderr.strip().splitlines() or ['torch does not work here'])[-1])


def main():
    s = session.Session('gpu-3', __doc__.split(': ', 1)[1])
    s.programs()
    bench = s.program('g2s_bench')
    if s.dry:
        names = FIRST + ['... every other case of g2s_bench --list']
    else:
        names = ordered(subprocess.run([bench, '--list'], capture_output=True, text=True, env=s.environment).stdout.split())
    if s.emulated:
        names = [name for name in names if name in CUT_DOWN]
    theirs, reason = torch_cases()
    if not theirs:
        s.skip('pytorch', reason)
    repeat = '1' if s.emulated else '10'
    for name in names:
        s.step(f'{name}/ours', [bench, '--case', name, '--device', 'cuda', '--repeat', repeat, '--warm-up', repeat if s.emulated else '3', '--json'], 60, session.last_json)
        if name not in theirs:
            continue
        device = 'cpu' if s.emulated else 'cuda'
        for form, precision in MODES[:1] if s.emulated else MODES:
            s.step(f'{name}/pytorch/{form}/{precision}', [sys.executable, TORCH, '--case', name, '--device', device, '--form', form, '--precision', precision, '--repeat', repeat],
                   90 if form == 'compiled' else 40, session.last_json)
    s.doc['note'] = 'PyTorch has no opponent for whole steps here: the reference needs its own repository. Its other cases are those of bench/torch_cases.py.'
    s.finish()


if __name__ == '__main__':
    sys.exit(main())
