#!/usr/bin/env python3
"""Draws a run of the benchmarks as one picture: bars of our speed against PyTorch's, and a roofline with every case and operator on it.

draw.py RUN.json OUT.png        (needs matplotlib; RUN.json as bench/run.py writes it)
"""
import json
import math
import sys

import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

INK, GREY, OURS, OPERATOR, SLOWER = '#222222', '#8a8a8a', '#2a6fbb', '#e08a1e', '#c0392b'


def kind(name):
    """Operators of one family share a mark."""
    return '_'.join(name.split('_')[1:3]) if name.startswith(('op_styled', 'op_conv')) else name.split('_')[1]


def bars(axis, results):
    rows = [(name, row['speedup']) for name, row in results.items() if 'speedup' in row]
    rows.sort(key=lambda r: r[1])
    names = [r[0] for r in rows]
    values = [r[1] for r in rows]
    axis.barh(range(len(rows)), values, color=[OURS if v >= 1 else SLOWER for v in values], height=0.68)
    for i, v in enumerate(values):
        ours, theirs = (results[names[i]][k] for k in ('median_s', 'reference_median_s'))
        axis.text(v + 0.012 * max(values), i, f'{v:.1f}x   {seconds(ours)} : {seconds(theirs)}', va='center', fontsize=7.5, color=INK)
    axis.axvline(1, color=INK, linewidth=0.9)
    axis.set_yticks(range(len(rows)), names, fontsize=8)
    axis.set_xlim(0, 1.38 * max(values))
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_xlabel('times as fast as PyTorch (median seconds, here : PyTorch)', fontsize=9)


def seconds(s):
    return f'{1e3 * s:.3g} ms' if s < 1 else f'{s:.3g} s'


def roofline(axis, doc):
    peak = doc['peak']
    rates = [r['gflops'] for r in peak['f32'].values() if isinstance(r, dict)] or [1]
    if doc.get('isa') == 'v3' and isinstance(peak['f32'].get('v3'), dict):
        rates = [peak['f32']['v3']['gflops']]
    roof, bandwidth = max(rates), peak['triad_gbytes_s']
    points = {name: (row['gflop'] / row['gbytes'], row['gflops']) for name, row in doc['results'].items() if row.get('gflop', 0) > 0 and row.get('gbytes', 0) > 0}
    left, right = 0.05, max(2000, 1.5 * max(x for x, _ in points.values()))
    xs = [left, roof / bandwidth, right]
    axis.plot(xs, [bandwidth * left, roof, roof], color=INK, linewidth=1.4)
    axis.text(right / 1.1, roof * 1.07, f'{roof:.0f} GFLOP/s', ha='right', fontsize=8)
    axis.text(left * 1.15, bandwidth * left * 1.6, f'{bandwidth:.0f} GB/s', fontsize=8)
    operators = {n: p for n, p in points.items() if n.startswith('op_')}
    cases = {n: p for n, p in points.items() if n not in operators}
    for chosen, colour, mark, label in ((operators, OPERATOR, 'o', 'operators'), (cases, OURS, 's', 'networks and steps')):
        axis.scatter([p[0] for p in chosen.values()], [p[1] for p in chosen.values()], s=24, c=colour, marker=mark, label=label, zorder=3,
                     edgecolors='white', linewidths=0.4)
    axis.set_xscale('log')
    axis.set_yscale('log')
    axis.set_xlim(left, right)
    axis.set_ylim(min(p[1] for p in points.values()) / 2, roof * 12)
    for which in (axis.xaxis, axis.yaxis):
        which.set_major_formatter(FuncFormatter(lambda v, _: f'{v:g}'))
    axis.set_xlabel('floating-point operations per byte that must move', fontsize=9)
    axis.set_ylabel('GFLOP/s', fontsize=9)
    axis.legend(loc='lower right', fontsize=8, frameon=False)
    return points


def number_points(axis, points):
    """A number at each point, moved until it covers no other, and the key in the empty corner above the roof's slope."""
    axis.figure.canvas.draw()
    taken = []
    for x, y in points.values():
        px, py = axis.transData.transform((x, y))
        taken.append((px - 3, py - 3, px + 3, py + 3))
    names = sorted(points, key=lambda name: points[name][0])
    width, height = 9, 8  # of a number, in dots
    for number, name in enumerate(names, 1):
        px, py = axis.transData.transform(points[name])
        for step in range(80):
            angle, radius = step * 2.4, 8 + 0.7 * step
            cx, cy = px + radius * math.cos(angle), py + radius * math.sin(angle)
            box = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
            if not any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken):
                break
        taken.append(box)
        axis.text(*axis.transData.inverted().transform((cx, cy)), str(number), fontsize=5.5, ha='center', va='center', color=INK)
    rows = 15
    for i, name in enumerate(names):
        text = f'{i + 1}  {name.removeprefix("op_").removesuffix("_fwdbwd")}'
        axis.text(0.015 + 0.2 * (i // rows), 0.985 - 0.0185 * (i % rows), text, fontsize=5.3, va='top', color=INK, transform=axis.transAxes)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1]) as f:
        doc = json.load(f)
    with_peer = any('speedup' in row for row in doc['results'].values())
    figure, axes = plt.subplots(1, 2 if with_peer else 1, figsize=(16 if with_peer else 10, 7.6), dpi=110, squeeze=False)
    if with_peer:
        bars(axes[0][0], doc['results'])
    points = roofline(axes[0][-1], doc)
    for axis in axes[0]:
        axis.spines[['top', 'right']].set_visible(False)
        axis.grid(True, axis='x', color='#e6e6e6', linewidth=0.6)
        axis.set_axisbelow(True)
    torch = doc.get('reference', {}).get('torch')
    figure.suptitle(f'{doc.get("machine", doc["processor"])}, {doc["threads"]} threads, {doc.get("isa", "")}, {doc["date"]}' + (f'; PyTorch {torch}' if torch else ''),
                    fontsize=10)
    figure.tight_layout()
    number_points(axes[0][-1], points)
    figure.savefig(sys.argv[2])


if __name__ == '__main__':
    main()
