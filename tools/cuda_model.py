#!/usr/bin/env python3
"""A model, not a measurement: how long one iteration of each step of the face preset should take on three GPUs.

cuda_model.py --write    rewrites docs/benchmarks/cuda_model.json
cuda_model.py --check    fails unless the committed file is what the model gives now, and unless the model's own checks hold
cuda_model.py --table    prints both tables

For each launch (docs/benchmarks/cuda_launches.json) the largest of
  memory: the bytes that the arguments point to, each block of memory once, over what can be had of the device's bandwidth;
  issue:  instructions of the processor that has most blocks over what it issues. Products of tiles: the loop's instructions and multiply-adds, counted in the
          machine code, times the steps along k. Others: the instructions of the code once for each thread, as if there were no loops;
  latency: a constant for starting and ending a kernel.
and at least the time that the host takes to launch one, or, in a graph, a shorter gap between kernels.
What it leaves out: caches (a convolution's picture counts once however often it is read again), bank conflicts, stalls, copies from the host, clocks that fall
under load. So times are more likely longer than shorter; the check with published figures says by how much.
"""
import argparse
import json
import math
import os
import re
import sys

import cuda_report

BENCHMARKS = os.path.join(cuda_report.ROOT, 'docs', 'benchmarks')
FILE = os.path.join(BENCHMARKS, 'cuda_model.json')

# By the makers' data sheets: processors, GHz (boost), f32 lanes of a processor, GB/s, warps, blocks, KB of shared memory a processor.
# lanes 64: a scheduler issues a multiply-add every second cycle, and something else between. code: whose machine code stands for it.
DEVICES = {
    'A100 SXM 80GB': dict(processors=108, ghz=1.41, lanes=64, gbytes=2039, warps=64, blocks=32, shared=164, code='sm_80'),
    'H100 SXM': dict(processors=132, ghz=1.98, lanes=128, gbytes=3350, warps=64, blocks=32, shared=228, code='sm_90'),
    'RTX 4090': dict(processors=128, ghz=2.52, lanes=128, gbytes=1008, warps=48, blocks=24, shared=100, code='sm_80'),
}
# Only for the check with what others have measured.
OTHERS = {
    'A100 PCIe 80GB': dict(processors=108, ghz=1.41, lanes=64, gbytes=1935, warps=64, blocks=32, shared=164, code='sm_80'),
    'RTX A6000': dict(processors=84, ghz=1.80, lanes=128, gbytes=768, warps=48, blocks=16, shared=100, code='sm_80'),
    'RTX 4070 Ti': dict(processors=60, ghz=2.31, lanes=128, gbytes=504, warps=48, blocks=24, shared=100, code='sm_80'),  # the clock that its source states
    'Titan X Pascal': dict(processors=28, ghz=1.53, lanes=128, gbytes=480, warps=64, blocks=32, shared=96, code='sm_80'),
    'Tesla P100': dict(processors=56, ghz=1.48, lanes=64, gbytes=732, warps=64, blocks=32, shared=64, code='sm_80'),
    'GTX 1080 Ti': dict(processors=28, ghz=1.58, lanes=128, gbytes=484, warps=64, blocks=32, shared=96, code='sm_80'),
}
SCHEDULERS = 4          # of a processor, each issues for one warp a cycle
BANDWIDTH = 0.85        # of the data sheet's can be had
LATENCY = 1.5e-6        # a kernel that does next to nothing
HOST_LAUNCH = 3e-6      # from the host, one after the other
GRAPH_GAP = 0.5e-6       # between kernels of a graph
TWICE = {'adam': 7 / 4}  # of four buffers, three are written as well as read
TILES = {0: (128, 16, 16), 1: (64, 64, 16), 2: (128, 128, 8), 3: (64, 32, 16)}  # rows, columns, k of a tile in shared memory; as GemmTile
# Iterations of the face preset, four stages: config.h.
SCHEDULE = {'step 1': 600 + 3 * 200, 'step 2': 600 + 3 * 500, 'step 3': 400 + 3 * 300}
STEP_K = 16             # gemm_tile_k


def occupancy(device, registers, shared, threads):
    """Blocks that a processor holds."""
    warps = -(-threads // 32)
    by_registers = 65536 // (-(-registers * 32 // 256) * 256) // 4 * 4 // warps
    by_shared = device['shared'] * 1024 // (-(-(shared + 1024) // 128) * 128)
    return min(device['warps'] // warps, device['blocks'], by_registers, by_shared)


def tile_of(kernel):
    m = re.search(r'gemm_kernel<\w*::?Tile<\w+, (?:\w+::)*(\d)|gemm_kernel<(?:\w+::)*Tile<\w+, \(?(?:[\w:]+\))?(\d)', kernel)
    return TILES[int(next(g for g in m.groups() if g))] if m else None


def cycles_of_block(device, launch, facts):
    """Of one block alone on its processor's schedulers: issue, and the lanes that multiply."""
    warps = -(-launch['threads'] // 32)
    tile = tile_of(launch['kernel'])
    if tile is None:
        return warps * facts['instructions'] / SCHEDULERS
    steps = launch['k_steps'] / launch['blocks'][2] * STEP_K / tile[2]  # turns of the loop
    issued, multiplied = facts['loop'] * steps + (facts['instructions'] - facts['loop']), facts['loop_multiplies'] * steps
    return warps / SCHEDULERS * max(issued, multiplied * SCHEDULERS * 32 / device['lanes'])


def time_of(device, launch, facts):
    """Seconds of the kernel by what limits it."""
    blocks = launch['blocks'][0] * launch['blocks'][1] * launch['blocks'][2]
    at_once = occupancy(device, facts['registers'], facts['shared'] + launch['shared'], launch['threads'])
    if at_once < 1:
        sys.exit(f"{launch['kernel']} does not fit on the device")
    whole, rest = divmod(blocks, device['processors'] * at_once)
    most = whole * at_once + -(-rest // device['processors'])  # blocks of the busiest processor
    return {'memory': launch['bytes'] * TWICE.get(launch['name'], 1) / (device['gbytes'] * 1e9 * BANDWIDTH),
            'issue': most * cycles_of_block(device, launch, facts) / (device['ghz'] * 1e9),
            'latency': LATENCY}


def iteration(device, launches, kernels):
    out = {'launches': 0, 'kernels_s': 0.0, 'launched_s': 0.0, 'graph_s': 0.0, 'limited_by_s': {'memory': 0.0, 'issue': 0.0, 'latency': 0.0}, 'by_name_s': {}}
    for launch in launches:
        times = time_of(device, launch, kernels[launch['kernel']][device['code']])
        limit = max(times, key=times.get)
        t, n = times[limit], launch['count']
        out['launches'] += n
        out['kernels_s'] += n * t
        out['launched_s'] += n * max(t, HOST_LAUNCH)
        out['graph_s'] += n * (t + GRAPH_GAP)
        out['limited_by_s'][limit] += n * t
        out['by_name_s'][launch['name']] = out['by_name_s'].get(launch['name'], 0) + n * t
    out['by_name_s'] = dict(sorted(out['by_name_s'].items(), key=lambda item: -item[1])[:8])
    return out


# Published f32 figures, TFLOP/s. Convolutions: batch, height, width, channels, kernel, filters; all with padding, stride 1. unlike: why the kernel that was
# measured is not of the kind of ours (tiles through shared memory into registers), so that the model need not meet it.
DEEPBENCH = 'github.com/baidu-research/DeepBench, README'
A100_ISSUE = 'github.com/Yinghan-Li/YHs_Sample/issues/4'
PUBLISHED = [
    dict(what='hand-written SGEMM 5120x4096x4096', device='A100 PCIe 80GB', gemm=(5120, 4096, 4096), tflops=18.49, source=A100_ISSUE),
    dict(what='cuBLAS SGEMM 5120x4096x4096', device='A100 PCIe 80GB', gemm=(5120, 4096, 4096), tflops=18.88, source=A100_ISSUE),
    dict(what='hand-written SGEMM 5120x4096x4096', device='RTX 4070 Ti', gemm=(5120, 4096, 4096), tflops=27.58, source=A100_ISSUE),
    dict(what='cuBLAS SGEMM 5120x4096x4096', device='RTX 4070 Ti', gemm=(5120, 4096, 4096), tflops=29.17, source=A100_ISSUE),
    dict(what='SGEMM with vector loads, tiles of 128x128x8, 4092', device='RTX A6000', gemm=(4092, 4092, 4092), tflops=18.24, source='github.com/siboehm/SGEMM_CUDA, README'),
    dict(what='cuBLAS SGEMM 4092', device='RTX A6000', gemm=(4092, 4092, 4092), tflops=23.25, source='github.com/siboehm/SGEMM_CUDA, README'),
    dict(what='PyTorch f32 product 1024', device='H100 SXM', gemm=(1024, 1024, 1024), tflops=37.39, source='github.com/zzc0721/torch-performance-test-data/issues/79'),
    dict(what='PyTorch f32 product 2048', device='H100 SXM', gemm=(2048, 2048, 2048), tflops=49.58, source='github.com/zzc0721/torch-performance-test-data/issues/79'),
    dict(what='PyTorch f32 product 4096', device='H100 SXM', gemm=(4096, 4096, 4096), tflops=51.88, source='github.com/zzc0721/torch-performance-test-data/issues/79'),
    dict(what='cuDNN, 16 of 28x28x192, 5x5 to 32', device='Titan X Pascal', conv=(16, 28, 28, 192, 5, 32), tflops=6.45, source=DEEPBENCH,
         unlike='half of our tile is empty with 32 filters; cuDNN has a narrower one'),
    dict(what='cuDNN, 16 of 224x224x3, 3x3 to 64', device='Tesla P100', conv=(16, 224, 224, 3, 3, 64), tflops=4.26, source=DEEPBENCH),
    dict(what='cuDNN, 16 of 7x7x512, 3x3 to 512', device='GTX 1080 Ti', conv=(16, 7, 7, 512, 3, 512), tflops=7.68, source=DEEPBENCH,
         unlike='cuDNN has Winograd for 3x3, which multiplies less'),
]
ENOUGH_BLOCKS, LEAST_PART = 264, 128  # as gemm_tiling


def tiling(m, n, k):
    """As gemm_tiling in kernels/matmul/tiled_gemm_args.h: (tile, split_k, steps of each)."""
    def blocks(tile):
        return -(-m // TILES[tile][0]) * -(-n // TILES[tile][1])
    tile = 0 if n <= 16 else 2 if n > 64 and blocks(2) >= ENOUGH_BLOCKS // 2 else 1
    steps = -(-k // STEP_K)
    split_k = max(1, min(ENOUGH_BLOCKS // blocks(tile), k // LEAST_PART))
    each = -(-steps // split_k)
    return tile, -(-steps // each), each


def product_launch(row, kernels):
    """How our kernel would be launched for a published product or convolution, and what is known of that kernel."""
    if 'gemm' in row:
        m, n, k = row['gemm']
        size, kind = 4 * (m * k + k * n + m * n), 'Matmul<'
    else:
        batch, height, width, channels, side, filters = row['conv']
        m, n, k = batch * height * width, filters, side * side * channels
        size, kind = 4 * (m * channels + k * n + m * n), 'Forward<'
    tile, split_k, steps = tiling(m, n, k)
    fits = [name for name in kernels if 'gemm_kernel' in name and kind in name and tile_of(name) == TILES[tile]]
    if not fits:  # no step launches this one: the same tile with other operands
        fits = [name for name in kernels if 'gemm_kernel' in name and tile_of(name) == TILES[tile]]
    kernel = sorted(fits)[0]
    rows, columns, _ = TILES[tile]
    launch = {'name': 'product', 'kernel': kernel, 'blocks': [-(-m // rows), -(-n // columns), split_k], 'threads': 256 if tile == 2 else 128,
              'shared': 0, 'bytes': size + (8 * m * n * split_k if split_k > 1 else 0), 'k_steps': split_k * steps}
    return launch, 2 * m * n * k


def against_published(kernels):
    for row in PUBLISHED:
        device = DEVICES.get(row['device']) or OTHERS[row['device']]
        launch, flops = product_launch(row, kernels)
        t = max(time_of(device, launch, kernels[launch['kernel']][device['code']]).values())
        model = flops / t / 1e12
        yield {**{key: row[key] for key in ('what', 'device', 'tflops', 'source', 'unlike') if key in row}, 'model_tflops': model, 'published_over_model': row['tflops'] / model,
               'peak_tflops': 2 * device['processors'] * device['lanes'] * device['ghz'] / 1e3}


def read(name):
    with open(os.path.join(BENCHMARKS, name)) as f:
        return json.load(f)


def rounded(value):
    if isinstance(value, float):
        return float(f'{value:.5g}')
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, (list, tuple)) else value


def model():
    data = read('cuda_launches.json')
    launches = {step: [dict(zip(data['fields'], row)) for row in rows] for step, rows in data['steps'].items()}
    steps = {step: {name: iteration(device, rows, data['kernels']) for name, device in DEVICES.items()} for step, rows in launches.items()}
    whole = {name: {how: sum(SCHEDULE[step] * row[name][how] for step, row in steps.items()) for how in ('launched_s', 'graph_s')} for name in DEVICES}
    return rounded({
        'note': 'a model, not a measurement (tools/cuda_model.py)', 'precision': 'f32', 'devices': DEVICES, 'other_devices': OTHERS,
        'constants': {'bandwidth': BANDWIDTH, 'latency_s': LATENCY, 'host_launch_s': HOST_LAUNCH, 'graph_gap_s': GRAPH_GAP},
        'published': list(against_published(data['kernels'])),
        'steps': steps, 'iterations_of_the_face_preset': SCHEDULE, 'all_iterations_of_the_steps': whole,
    })


def faults(result):
    """What cannot be if the model is right."""
    found = []
    # NVIDIA's own calculator, which made this list, agrees on the blocks that a processor holds.
    listed = compared = 0
    for row in read('cuda_kernels.json')['kernels']:
        for arch, name in (('sm_80', 'A100 SXM 80GB'), ('sm_90', 'H100 SXM')):
            if 'blocks_per_sm' in row.get(arch, {}):
                listed += 1
                ours = occupancy(DEVICES[name], row[arch]['registers'], row[arch]['shared'] + row['dynamic_shared'], row['threads'])
                compared += ours == row[arch]['blocks_per_sm']
                if ours != row[arch]['blocks_per_sm']:
                    found.append(f"{row['kernel']} for {arch}: {ours} blocks a processor, NVIDIA's calculator says {row[arch]['blocks_per_sm']}")
    if listed < 100:
        found.append(f'only {listed} kernels have an occupancy to compare with')
    for row in result['published']:
        if row['model_tflops'] > row['peak_tflops']:
            found.append(f"{row['what']} on {row['device']}: the model is above the peak")
        if 'unlike' not in row and not 0.55 <= row['published_over_model'] <= 1.05:
            found.append(f"{row['what']} on {row['device']}: published {row['tflops']} TFLOP/s, model {row['model_tflops']}")
    data = read('cuda_launches.json')
    for step, rows in data['steps'].items():
        products = 2 * sum(row[6] * row[8] for row in rows)
        for name, device in DEVICES.items():
            least = products / (2 * device['processors'] * device['lanes'] * device['ghz'] * 1e9)
            if result['steps'][step][name]['kernels_s'] < least:
                found.append(f'{step} on {name}: faster than the peak allows')
    return found


def show(result):
    print('| step | launches | ' + ' | '.join(f'{name}: launched, in a graph' for name in DEVICES) + ' |')
    for step, row in result['steps'].items():
        cells = [f"{1e3 * row[name]['launched_s']:.1f}, {1e3 * row[name]['graph_s']:.1f} ms" for name in DEVICES]
        print(f"| {step} | {next(iter(row.values()))['launches']} | " + ' | '.join(cells) + ' |')
    cells = [f"{row['launched_s']:.0f}, {row['graph_s']:.0f} s" for row in result['all_iterations_of_the_steps'].values()]
    print('| all iterations of the steps | | ' + ' | '.join(cells) + ' |')
    print()
    for row in result['published']:
        print(f"| {row['what']} | {row['device']} | {row['tflops']} | {row['model_tflops']:.1f} | {row['published_over_model']:.2f} |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mode = p.add_mutually_exclusive_group(required=True)
    for option in ('--write', '--check', '--table'):
        mode.add_argument(option, action='store_true')
    a = p.parse_args()
    result = model()
    if a.table:
        return show(result)
    if a.write:
        with open(FILE, 'w') as f:
            json.dump(result, f, indent=1)
            f.write('\n')
    wrong = faults(result)
    if a.check and read('cuda_model.json') != json.loads(json.dumps(result)):
        wrong.append('docs/benchmarks/cuda_model.json is not what the model gives now: cuda_model.py --write')
    for line in wrong:
        print(line)
    print(f'{len(wrong)} faults')
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
