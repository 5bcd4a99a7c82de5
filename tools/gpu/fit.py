#!/usr/bin/env python3
"""make gpu-4: a shipped picture of a head to a mesh on the device and on the CPU, and the whole schedule of the face preset."""
import json
import os
import shutil
import sys

import session

PICTURE = '000_64'


def reconstruct(s, device, seconds):
    out = os.path.join(s.options.out, 'gpu-4_' + device)
    quality = ['--quality', 'draft', '--scale', '0.001'] if s.emulated else ['--quality', 'standard']

    def read(_):
        with open(os.path.join(out, PICTURE, 'result.json')) as f:
            result = json.load(f)
        shutil.copy(os.path.join(out, PICTURE, 'overview.png'), os.path.join(s.options.out, f'gpu-4_overview_{device}.png'))
        return {key: result[key] for key in ('metrics', 'phases', 'seconds', 'program') if key in result}

    s.step(f'reconstruct/{device}', [s.program('gan2shape'), 'reconstruct', f'assets/heads/{PICTURE}.png', '--truth', 'assets/heads', '--device', device, '--progress', 'none',
                                     '--out', out, '--force', *quality], seconds, read)
    if not s.dry:
        shutil.rmtree(out, ignore_errors=True)


def main():
    s = session.Session('gpu-4', __doc__.split(': ', 1)[1])
    s.programs()
    reconstruct(s, 'cuda', 250)
    reconstruct(s, 'cpu', 150)
    # The rest of the time; it stops by itself and says what all of it would take.
    seconds = 1 if s.emulated else max(20, int(s.left()) - 60)
    preset, scale = ('default', '0.001') if s.emulated else ('face', '1')
    s.step(f'schedule/{preset}', [s.program('g2s_bench'), '--schedule', preset, '--device', 'cuda', '--scale', scale, '--seconds', str(seconds), '--json'], seconds + 50, session.last_json)
    s.finish()


if __name__ == '__main__':
    sys.exit(main())
