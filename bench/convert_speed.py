#!/usr/bin/env python3
"""Times `gan2shape convert` on a large checkpoint next to `cat IN > OUT`, in turns, with a warm cache, and watches its anonymous memory.

convert_speed.py --program build/bin/gan2shape --folder DIR [--megabytes 1024] [--repeat 5] [--dtype f16]

DIR needs room for three times the checkpoint, which PyTorch writes: matrices of 16 MB, as large as those of the largest StyleGAN2.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time


def make_checkpoint(path, megabytes):
    import torch
    tensors = {f'layers.{i}.weight': torch.randn(2048, 2048) for i in range(max(1, megabytes // 16))}
    torch.save({'g_ema': tensors}, path)


def anonymous_bytes(pid):
    try:
        with open(f'/proc/{pid}/smaps_rollup') as lines:
            return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith('Anonymous:'))
    except OSError:  # it has just ended
        return 0


def timed(command, watch=False):
    """Wall-clock and CPU seconds of a command, and the most anonymous memory it was seen with."""
    before, peak, start = os.times(), 0, time.perf_counter()
    process = subprocess.Popen(command, shell=isinstance(command, str), stdout=subprocess.DEVNULL)
    while watch and process.poll() is None:
        peak = max(peak, anonymous_bytes(process.pid))
        time.sleep(0.005)
    if process.wait() != 0:
        sys.exit(f'{command} failed')
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, cpu, peak


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--program', required=True)
    parser.add_argument('--folder', required=True)
    parser.add_argument('--megabytes', type=int, default=1024)
    parser.add_argument('--repeat', type=int, default=5)
    parser.add_argument('--dtype')
    options = parser.parse_args()
    source, copy = os.path.join(options.folder, 'speed.pt'), os.path.join(options.folder, 'speed.copy')
    out = os.path.join(options.folder, 'speed.safetensors')
    make_checkpoint(source, options.megabytes)
    convert = [options.program, 'convert', '--force', '--kind', 'tensors', source, out] + (['--dtype', options.dtype] if options.dtype else [])
    size = os.path.getsize(source)
    runs = {'cat': [], 'convert': []}
    peak = 0
    timed(['cat', source])
    for _ in range(options.repeat):
        for name in runs:
            for old in (copy, out):
                if os.path.exists(old):
                    os.remove(old)
            runs[name].append(timed(f"cat '{source}' > '{copy}'" if name == 'cat' else convert))
    peak = max(timed(convert, watch=True)[2] for _ in range(2))
    for name, times in runs.items():
        wall, cpu = (statistics.median(t[i] for t in times) for i in (0, 1))
        print(f'{name:8} median {wall:.2f} s ({size / wall / 1e6:.0f} MB/s), best {min(t[0] for t in times):.2f} s, CPU {cpu:.2f} s')
    ratio = statistics.median(t[0] for t in runs['cat']) / statistics.median(t[0] for t in runs['convert'])
    print(f'convert runs at {ratio:.2f} times the speed of cat; anonymous memory at most {peak / 2**20:.0f} MiB')
    for path in (source, copy, out):
        if os.path.exists(path):
            os.remove(path)


if __name__ == '__main__':
    main()
