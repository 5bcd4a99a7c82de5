#!/usr/bin/env python3
"""Times g2s_bench's cases next to the PyTorch reference on the same machine, in turns, and writes one JSON.

compare_pytorch.py --bench build/bin/g2s_bench --peer DIR --out FILE.json [--only REGEX] [--repeat 5] [--threads 2]

DIR holds the reference's bench.py (docs/benchmarks/README.md says what that is). It runs with freed memory kept, PyTorch's better side on a CPU,
and where it has several forms of a network the fastest counts. Every case runs as ours, the reference, ours again, so that a drift of the
machine's speed shows; our times of both runs are pooled.
"""
import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys

# our case -> the reference's cases, the fastest of which is the opponent
PEERS = {
    'G128_b1_fwd': ['G128_b1_fwd_frozen', 'G128_b1_fwd_shared'],
    'G128_b1_fwdbwd': ['G128_b1_fwdbwd_frozen', 'G128_b1_fwdbwd_shared'],
    'G128_b8_fwd': ['G128_b8_fwd_frozen', 'G128_b8_fwd_shared'],
    'G128_b8_fwdbwd': ['G128_b8_fwdbwd_frozen', 'G128_b8_fwdbwd_shared'],
    'Gsmall64_b16_fwd': ['Gsmall64_b16_fwd_frozen'],
    'Gsmall64_b16_fwdbwd': ['Gsmall64_b16_fwdbwd_frozen'],
    'Dfeat128_b1_fwdbwd': ['Dfeat128_b1_fwdbwd_frozen'],
    'LPIPS64_b16_fwdbwd': ['LPIPS64_b16_fwdbwd'],
    'LPIPS128_b1_fwdbwd': ['LPIPS128_b1_fwdbwd'],
    'LPIPS128_b16_fwdbwd': ['LPIPS128_b16_fwdbwd'],
    'EDDeconv64_b1_fwdbwd': ['EDDeconv64_b1_fwdbwd'],
    'EDDeconv128_b1_fwdbwd': ['EDDeconv128_b1_fwdbwd'],
    'ResEncoder128_b16_fwdbwd': ['ResEncoder128_b16_fwdbwd'],
    'warp_canon_depth128_b16_fwdbwd': ['warp_canon_depth128_b16_fwdbwd'],
    'step1_64': ['step1_64'],
    'step2_64_b16': ['step2_64_b16_frozen', 'step2_64_b16_asis'],
    'step3_64_b16': ['step3_64_b16'],
    'step1_128': ['step1_128'],
    'step2_128_b16': ['step2_128_b16_frozen'],
    'step3_128_b16': ['step3_128_b16'],
}


def processor():
    for line in open('/proc/cpuinfo'):
        if line.startswith('model name'):
            return line.split(':', 1)[1].strip()
    return platform.processor()


def instruction_sets():
    flags = next((line.split() for line in open('/proc/cpuinfo') if line.startswith('flags')), [])
    return [f for f in ('avx2', 'avx512f', 'avx512_bf16', 'amx_bf16') if f in flags]


def ours(bench, case, repeat, threads):
    done = subprocess.run([bench, '--case', case, '--repeat', str(repeat), '--threads', str(threads), '--json'], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f'{case}: {done.stderr.strip()}')
    return json.loads(done.stdout.strip().splitlines()[-1])


def reference(peer, cases, repeat, threads, folder):
    """The fastest of the reference's cases, and its description of the machine."""
    out = os.path.join(folder, f'reference.{os.getpid()}.json')
    pattern = '^(' + '|'.join(cases) + ')$'
    try:
        subprocess.run([sys.executable, os.path.join(peer, 'bench.py'), '--out', out, '--only', pattern, '--keep-memory', '--repeat', str(repeat),
                        '--threads', str(threads), '--max-case', '60'], check=True, capture_output=True, text=True)
        with open(out) as f:
            doc = json.load(f)
    finally:
        if os.path.exists(out):
            os.remove(out)
    for name, row in doc['results'].items():
        if 'error' in row:
            sys.exit(f'{name}: the reference failed: {row["error"]}')
    return min(doc['results'].values(), key=lambda row: row['median_s']), doc['machine']


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--bench', required=True)
    parser.add_argument('--peer', required=True)
    parser.add_argument('--out', required=True)
    parser.add_argument('--only', default='.')
    parser.add_argument('--repeat', type=int, default=5)
    parser.add_argument('--threads', type=int, default=2)
    a = parser.parse_args()
    doc = {'date': datetime.date.today().isoformat(), 'processor': processor(), 'instruction_sets': instruction_sets(), 'cores': os.cpu_count(),
           'threads': a.threads, 'results': {}}
    folder = os.path.dirname(os.path.abspath(a.out))
    print(f'{"case":34s} {"ours s":>9s} {"PyTorch s":>10s} {"ratio":>6s} {"ours MiB":>9s} {"PyTorch MiB":>11s}')
    for case, peers in PEERS.items():
        if not re.search(a.only, case):
            continue
        first = ours(a.bench, case, a.repeat, a.threads)
        theirs, doc['reference'] = reference(a.peer, peers, a.repeat, a.threads, folder)
        second = ours(a.bench, case, a.repeat, a.threads)
        median = statistics.median(first['times_s'] + second['times_s'])
        row = {'median_s': median, 'medians_s': [first['median_s'], second['median_s']], 'n': first['n'] + second['n'],
               'peak_rss_mib': max(first['peak_rss_mib'], second['peak_rss_mib']),
               'reference_case': theirs['case'], 'reference_median_s': theirs['median_s'], 'reference_n': theirs['n'],
               'reference_peak_rss_mib': theirs['peak_rss_mib'], 'other_busy_cores': theirs['other_busy_cores'], 'speedup': theirs['median_s'] / median}
        doc['results'][case] = row
        print(f'{case:34s} {median:9.4f} {theirs["median_s"]:10.4f} {row["speedup"]:6.2f} {row["peak_rss_mib"]:9.0f} {theirs["peak_rss_mib"]:11.0f}', flush=True)
        with open(a.out + '.part', 'w') as f:
            json.dump(doc, f, indent=1)
            f.write('\n')
        os.replace(a.out + '.part', a.out)


if __name__ == '__main__':
    main()
