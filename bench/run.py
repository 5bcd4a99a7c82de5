#!/usr/bin/env python3
"""Runs g2s_bench's cases, each in its own process, and writes one JSON with the date and the hardware.

run.py --bench build/bin/g2s_bench --out FILE.json|FOLDER/ [--peer DIR] [--isa v3] [--only REGEX] [--repeat 5] [--threads N]

With --peer DIR, a folder with the PyTorch reference's bench.py (docs/benchmarks/README.md), each case that the reference or bench/torch_cases.py
has runs as ours, PyTorch, ours again, so that a drift of the machine's speed shows; our times of both runs are pooled. The reference runs with freed memory kept,
PyTorch's better side on a CPU, and where it has several forms of a network the fastest counts. This needs a Python with torch.

--isa v3 holds both sides to AVX2 and leaves out the single operators and the slowest cases.
Cases above ten seconds are repeated twice.
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
import time

import reference

RASTERISER = [f'warp_canon_depth{size}_b16_fwdbwd' for size in (64, 128, 256, 512)]
# Not run on the lower instruction set.
LONG = ['G128_b8_fwd', 'G128_b8_fwdbwd', 'G128_b16_fwd', 'G128_b16_fwdbwd', 'step2_128_b16', 'step3_128_b16']


def processor():
    with open('/proc/cpuinfo') as f:
        for line in f:
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.processor()


def instruction_sets():
    with open('/proc/cpuinfo') as f:
        flags = next((line.split() for line in f if line.startswith('flags')), [])
    return [flag for flag in ('avx2', 'avx512f', 'avx512_bf16', 'amx_bf16') if flag in flags]


def slug(text):
    return re.sub(r'[^a-z0-9]+', '_', text.lower()).strip('_')


class Ours:
    def __init__(self, options):
        self.options = options
        self.env = dict(os.environ, **({'G2S_ISA': options.isa} if options.isa else {}))

    def call(self, *arguments):
        done = subprocess.run([self.options.bench, *arguments], capture_output=True, text=True, env=self.env)
        if done.returncode != 0:
            sys.exit(f'{" ".join(arguments)}: {done.stderr.strip()}')
        return done.stdout.strip()

    def case(self, name, threads=None):
        return json.loads(self.call('--case', name, '--repeat', str(self.options.repeat), '--slow-repeat', '2', '--threads',
                                    str(threads or self.options.threads), '--json').splitlines()[-1])


def chosen_cases(ours, options):
    names = [name for name in ours.call('--list').splitlines() if re.search(options.only, name)]
    # The larger rasterisers are run on one thread, below.
    names = [name for name in names if name not in RASTERISER or name in reference.PEERS]
    if options.isa:
        names = [name for name in names if name in reference.PEERS and name not in LONG]
    return names


def pooled(first, second):
    times = first['times_s'] + second['times_s']
    row = dict(first, times_s=times, n=len(times), median_s=statistics.median(times), min_s=min(times), medians_s=[first['median_s'], second['median_s']],
               peak_rss_mib=max(first['peak_rss_mib'], second['peak_rss_mib']))
    row['gflops'] = row['gflop'] / row['median_s']
    return row


def run_case(name, ours, options, doc, scratch):
    row = ours.case(name)
    if options.peer and reference.has(name):
        if name in reference.PEERS:
            theirs, doc['reference'] = reference.best(options.peer, name, options.repeat, options.threads, options.isa, scratch)
            row['other_busy_cores'] = theirs['other_busy_cores']
        else:
            theirs = reference.plain(name, options.repeat, options.threads, options.isa)
        row = pooled(row, ours.case(name))
        row.update(reference_case=theirs['case'], reference_median_s=theirs['median_s'], reference_n=theirs['n'],
                   reference_peak_rss_mib=theirs['peak_rss_mib'], speedup=theirs['median_s'] / row['median_s'])
        if name == reference.MEMORY_CASE and not options.isa:
            row['reference_default_malloc_peak_mib'] = reference.default_memory(options.peer, name, options.threads, options.isa, scratch)
    roof = max((r['gflops'] for r in doc['peak']['f32'].values() if isinstance(r, dict)), default=0)
    if options.isa:
        roof = doc['peak']['f32'][options.isa]['gflops']
    if roof and row['gflop']:
        row['of_peak'] = row['gflops'] / roof
    return row


def show(name, row):
    line = f'{name:40s} {row["median_s"]:9.4f} s'
    line += f' {row["gflops"]:6.0f} GFLOP/s' if row['gflop'] else ' ' * 15
    line += f' {row["peak_rss_mib"]:6.0f} MiB'
    if 'speedup' in row:
        line += f' | PyTorch {row["reference_median_s"]:9.4f} s {row["reference_peak_rss_mib"]:6.0f} MiB | {row["speedup"]:5.2f} times as fast'
    print(line, flush=True)


def write(path, doc):
    with open(path + '.part', 'w') as f:
        json.dump(doc, f, indent=1)
        f.write('\n')
    os.replace(path + '.part', path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--bench', required=True)
    parser.add_argument('--out', required=True)
    parser.add_argument('--peer', default='')
    parser.add_argument('--isa', choices=['v3'], default='')
    parser.add_argument('--only', default='.')
    parser.add_argument('--repeat', type=int, default=5)
    parser.add_argument('--threads', type=int, default=os.cpu_count())
    options = parser.parse_args()
    ours, begin = Ours(options), time.time()
    peak = json.loads(ours.call('--peak', '--threads', str(options.threads), '--json').splitlines()[-1])
    doc = {'date': datetime.date.today().isoformat(), 'processor': processor(), 'instruction_sets': instruction_sets(), 'isa': options.isa,
           'cores': os.cpu_count(), 'threads': options.threads, 'peak': peak, 'results': {}}
    out = options.out
    if out.endswith('/'):
        out += f'{doc["date"]}_{slug(doc["processor"])}_{doc["cores"]}_cores{"_" + options.isa if options.isa else ""}.json'
    scratch = os.path.dirname(os.path.abspath(out))
    names = chosen_cases(ours, options)
    if not names:
        sys.exit(f'no case matches {options.only}')
    for name in names:
        doc['results'][name] = row = run_case(name, ours, options, doc, scratch)
        doc['isa'] = row['isa']
        show(name, row)
        write(out, doc)
    if not options.isa:
        doc['rasteriser_one_thread'] = []
        for name in RASTERISER:
            if re.search(options.only, name):
                row = ours.case(name, threads=1)
                row['ns_per_triangle'] = 1e9 * row['median_s'] / row['triangles']
                row['ns_per_covered_pixel'] = 1e9 * row['median_s'] / row['covered_pixels']
                doc['rasteriser_one_thread'].append(row)
                print(f'{name:40s} {row["median_s"]:9.4f} s on one thread, {row["ns_per_triangle"]:.1f} ns a triangle, '
                      f'{row["ns_per_covered_pixel"]:.1f} ns a covered pixel', flush=True)
    doc['wall_s'] = round(time.time() - begin)
    write(out, doc)
    print(f'{out}: {len(names)} cases in {doc["wall_s"]} s')


if __name__ == '__main__':
    main()
