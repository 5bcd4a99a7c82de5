#!/usr/bin/env python3
"""Times g2s_bench's cases in f32 and bf16 next to the PyTorch reference in float32 and under bfloat16 autocast, in turns, and writes one JSON.

autocast_pytorch.py --bench build/bin/g2s_bench --peer DIR --out FILE.json [--only REGEX] [--repeat 5] [--threads 1] [--rounds 2]

DIR holds the reference's bench.py (docs/benchmarks/README.md says what that is); it runs with freed memory kept. Every measurement is a process
of its own; a round takes the four of a case one after the other. What counts is the least processor time of a repetition, of all threads
together: it can be compared on a machine that others use too, if one thread is used. Wall-clock times are noted beside it.
"""
import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import time

# our case -> the reference's: its best form of the network
PEERS = {
    'G128_b1_fwd': 'G128_b1_fwd_shared',
    'G128_b1_fwdbwd': 'G128_b1_fwdbwd_shared',
    'G128_b8_fwd': 'G128_b8_fwd_shared',
    'G128_b8_fwdbwd': 'G128_b8_fwdbwd_shared',
    'G128_b16_fwdbwd': None,
    'Gsmall64_b16_fwdbwd': 'Gsmall64_b16_fwdbwd_frozen',
    'Dfeat128_b1_fwdbwd': 'Dfeat128_b1_fwdbwd_frozen',
    'LPIPS64_b16_fwdbwd': 'LPIPS64_b16_fwdbwd',
    'LPIPS128_b1_fwdbwd': 'LPIPS128_b1_fwdbwd',
    'step2_64_b16': 'step2_64_b16_frozen',
    'step2_128_b16': 'step2_128_b16_frozen',
}


def processor():
    for line in open('/proc/cpuinfo'):
        if line.startswith('model name'):
            return line.split(':', 1)[1].strip()
    return platform.processor()


def flags():
    have = next((line.split() for line in open('/proc/cpuinfo') if line.startswith('flags')), [])
    return [f for f in ('avx2', 'avx512f', 'avx512_bf16', 'amx_bf16') if f in have]


def ours(a, case, precision):
    done = subprocess.run([a.bench, '--case', case, '--precision', precision, '--repeat', str(a.repeat), '--threads', str(a.threads), '--json'],
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f'{case}: {done.stderr.strip()}')
    row = json.loads(done.stdout.strip().splitlines()[-1])
    return {key: row[key] for key in ('min_processor_s', 'min_s', 'median_s', 'n', 'peak_rss_mib')}


def theirs(a, case, autocast):
    keep = {'MALLOC_MMAP_THRESHOLD_': str(4 << 30), 'MALLOC_TRIM_THRESHOLD_': str(8 << 30), 'MALLOC_TOP_PAD_': str(64 << 20)}
    done = subprocess.run([sys.executable, os.path.abspath(__file__), '--child', case, '--peer', a.peer, '--repeat', str(a.repeat), '--threads',
                           str(a.threads)] + (['--autocast'] if autocast else []), capture_output=True, text=True,
                          env=dict(os.environ, PEER_THREADS=str(a.threads), **keep))
    lines = [line for line in done.stdout.splitlines() if line.startswith('RESULT ')]
    if not lines:
        return {'error': (done.stderr or done.stdout).strip().splitlines()[-1][:300]}
    return json.loads(lines[-1][len('RESULT '):])


def child(a):
    """One case of the reference, in this process."""
    sys.path.insert(0, a.peer)
    import resource
    import statistics

    import bench
    import torch
    run = bench.CASES[a.child][0]()
    torch.set_num_threads(a.threads)
    wall, used = [], []
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=a.autocast):
        run()
        for _ in range(a.repeat):
            begin, begin_used = time.perf_counter(), time.process_time()
            run()
            wall.append(time.perf_counter() - begin)
            used.append(time.process_time() - begin_used)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print('RESULT ' + json.dumps({'min_processor_s': min(used), 'min_s': min(wall), 'median_s': statistics.median(wall), 'n': len(wall),
                                  'peak_rss_mib': peak, 'torch': torch.__version__}))


def least(old, new):
    """The better of two measurements of the same."""
    if old is None or 'error' in old or 'error' in new:
        return new
    return {**new, 'min_processor_s': min(old['min_processor_s'], new['min_processor_s']), 'min_s': min(old['min_s'], new['min_s']),
            'median_s': min(old['median_s'], new['median_s']), 'n': old['n'] + new['n'], 'peak_rss_mib': max(old['peak_rss_mib'], new['peak_rss_mib'])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--bench')
    parser.add_argument('--peer', required=True)
    parser.add_argument('--out')
    parser.add_argument('--only', default='.')
    parser.add_argument('--repeat', type=int, default=5)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--child', help=argparse.SUPPRESS)
    parser.add_argument('--autocast', action='store_true', help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.child:
        return child(a)
    doc = {'date': datetime.date.today().isoformat(), 'processor': processor(), 'instruction_sets': flags(), 'cores': os.cpu_count(),
           'threads': a.threads, 'unit': 'least processor seconds of a repetition', 'results': {}}
    print(f'{"case":22s} {"ours f32":>9s} {"ours bf16":>9s} {"ratio":>6s} {"torch f32":>9s} {"autocast":>9s} {"bf16 / autocast":>15s}')
    for case, peer in PEERS.items():
        if not re.search(a.only, case):
            continue
        row = {}
        for _ in range(a.rounds):
            row['f32'] = least(row.get('f32'), ours(a, case, 'f32'))
            row['bf16'] = least(row.get('bf16'), ours(a, case, 'bf16'))
            if peer:
                row['reference_f32'] = least(row.get('reference_f32'), theirs(a, peer, False))
                row['reference_autocast'] = least(row.get('reference_autocast'), theirs(a, peer, True))
        doc['results'][case] = row
        value = lambda key: row.get(key, {}).get('min_processor_s', float('nan'))
        print(f'{case:22s} {value("f32"):9.4f} {value("bf16"):9.4f} {value("f32") / value("bf16"):6.2f} {value("reference_f32"):9.4f} '
              f'{value("reference_autocast"):9.4f} {value("reference_autocast") / value("bf16"):15.2f}', flush=True)
        with open(a.out + '.part', 'w') as f:
            json.dump(doc, f, indent=1)
            f.write('\n')
        os.replace(a.out + '.part', a.out)


if __name__ == '__main__':
    main()
