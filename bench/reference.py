"""The PyTorch reference as an opponent: which of its cases stand against ours, and how it is run. docs/benchmarks/README.md says what it is."""
import json
import os
import re
import subprocess
import sys

# our case -> the reference's cases, the fastest of which is the opponent
PEERS = {
    'G128_b1_fwd': ['G128_b1_fwd_frozen', 'G128_b1_fwd_shared'],
    'G128_b1_fwdbwd': ['G128_b1_fwdbwd_frozen', 'G128_b1_fwdbwd_shared'],
    'G128_b8_fwd': ['G128_b8_fwd_frozen', 'G128_b8_fwd_shared'],
    'G128_b8_fwdbwd': ['G128_b8_fwdbwd_frozen', 'G128_b8_fwdbwd_shared'],
    'Gsmall64_b16_fwdbwd': ['Gsmall64_b16_fwdbwd_frozen'],
    'Dfeat128_b1_fwdbwd': ['Dfeat128_b1_fwdbwd_frozen'],
    'LPIPS64_b16_fwdbwd': ['LPIPS64_b16_fwdbwd'],
    'LPIPS128_b1_fwdbwd': ['LPIPS128_b1_fwdbwd'],
    'LPIPS128_b16_fwdbwd': ['LPIPS128_b16_fwdbwd'],
    'EDDeconv128_b1_fwdbwd': ['EDDeconv128_b1_fwdbwd'],
    'ResEncoder128_b16_fwdbwd': ['ResEncoder128_b16_fwdbwd'],
    'warp_canon_depth128_b16_fwdbwd': ['warp_canon_depth128_b16_fwdbwd'],
    'step1_64': ['step1_64'],
    'step2_64_b16': ['step2_64_b16_frozen'],
    'step3_64_b16': ['step3_64_b16'],
    'step1_128': ['step1_128'],
    'step2_128_b16': ['step2_128_b16_frozen'],
    'step3_128_b16': ['step3_128_b16'],
}

# Cases that the reference lacks and bench/torch_cases.py has.
TORCH_CASES = 'mobile|op_(separable|depthwise|haar)_'
# As the reference's own --keep-memory.
KEEP_MEMORY = {'MALLOC_MMAP_THRESHOLD_': str(4 << 30), 'MALLOC_TRIM_THRESHOLD_': str(8 << 30), 'MALLOC_TOP_PAD_': str(64 << 20)}

# The case whose memory is compared with the default malloc too: keeping freed memory is faster, but takes more.
MEMORY_CASE = 'step2_128_b16'

# What holds PyTorch and the library behind it to the same instruction set as ours.
INSTRUCTION_SETS = {'v3': {'ATEN_CPU_CAPABILITY': 'avx2', 'ONEDNN_MAX_CPU_ISA': 'AVX2', 'DNNL_MAX_CPU_ISA': 'AVX2'}}


def run(folder, cases, repeat, threads, isa, scratch, keep_memory=True):
    """Rows of the reference's cases by name, and its description of the machine."""
    out = os.path.join(scratch, f'reference.{os.getpid()}.json')
    pattern = '^(' + '|'.join(cases) + ')$'
    command = [sys.executable, os.path.join(folder, 'bench.py'), '--out', out, '--only', pattern, '--threads', str(threads), '--max-case', '60']
    if keep_memory:
        command.append('--keep-memory')
    if repeat:
        command += ['--repeat', str(repeat)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **INSTRUCTION_SETS.get(isa, {})})
        with open(out) as f:
            doc = json.load(f)
    finally:
        if os.path.exists(out):
            os.remove(out)
    for name, row in doc['results'].items():
        if 'error' in row:
            sys.exit(f'{name}: the reference failed: {row["error"]}')
    return doc['results'], doc['machine']


def best(folder, case, repeat, threads, isa, scratch):
    """The fastest of the reference's forms of our case, and its description of the machine."""
    results, machine = run(folder, PEERS[case], repeat, threads, isa, scratch)
    return min(results.values(), key=lambda row: row['median_s']), machine


def has(case):
    """Does anything stand against it?"""
    return case in PEERS or re.match(TORCH_CASES, case) is not None


def plain(case, repeat, threads, isa):
    """A case of bench/torch_cases.py in PyTorch's better layout."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'torch_cases.py')
    rows = []
    for layout in ('channels_last', 'contiguous'):
        command = [sys.executable, script, '--case', case, '--device', 'cpu', '--layout', layout, '--threads', str(threads), '--repeat', str(repeat)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **KEEP_MEMORY, **INSTRUCTION_SETS.get(isa, {})})
        if done.returncode != 0:
            sys.exit(f'{case}: PyTorch failed: {done.stderr.strip()}')
        rows.append(dict(json.loads(done.stdout.splitlines()[-1]), case=f'{case} {layout}'))
    return min(rows, key=lambda row: row['median_s'])


def default_memory(folder, case, threads, isa, scratch):
    """Peak resident MiB of one iteration of the reference with glibc's default malloc."""
    results, _ = run(folder, PEERS[case], 0, threads, isa, scratch, keep_memory=False)
    return min(row['peak_rss_mib'] for row in results.values())
