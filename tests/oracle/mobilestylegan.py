#!/usr/bin/env python3
"""MobileStyleGAN in PyTorch, read from the safetensors files that `gan2shape convert` writes, and what is checked with it.

    mobilestylegan.py check mobilestylegan.safetensors IR    equals OpenVINO: IR is the folder with MappingNetwork.xml and SynthesisNetwork.xml
    mobilestylegan.py engine FOLDER IR PROGRAM [OPTION..]    the program's pictures equal OpenVINO's, with the weights in FOLDER: gan2shape, or
                                                             gan2shape_emulated --device=cuda; so does the mapping of the Python module
    mobilestylegan.py compare A.safetensors B.safetensors    how far apart two files' pictures are
    mobilestylegan.py golden                                 writes models/mobilestylegan.golden.safetensors from models/mobilestylegan.json

The network is told by its tensors: a whole one and one that was cut are read alike (docs/checkpoints.md). Goldens are f64, every weight hashed
from its name; large results are stored as sketches, as make_network_goldens.py makes them. `check` and `engine` need openvino, all need torch, numpy and
safetensors.
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from make_goldens import encode, hashed, rounded, sketch  # noqa: E402

SKETCH = 256  # buckets
MAPPING_TOLERANCE, PICTURE_TOLERANCE = 1e-5, 1e-4


def haar(x):
    """One inverse step: channels [low: c][high: c x 3, channel by channel, bands lh, hl, hh] to pictures of twice the size."""
    n, c, h, w = x.shape
    c //= 4
    low, (lh, hl, hh) = x[:, :c], x[:, c:].reshape(n, c, 3, h, w).unbind(2)
    rows = [torch.stack((a + b, a - b), -1) for a, b in ((low + lh, hl + hh), (low - lh, hl - hh))]  # each [n, c, h, w, 2]
    return (torch.stack(rows, 3) / 2).reshape(n, c, 2 * h, 2 * w)


class Generator:
    """weights: tensors by name, all of one dtype."""

    def __init__(self, weights):
        self.weights = weights
        self.layers = sum(f'mapping.{i}.weight' in weights for i in range(64))
        self.blocks = sum(f'layers.{i}.conv1.conv.weight_dw' in weights for i in range(64))
        self.latents = 3 * self.blocks + 1
        self.style_dim = weights['mapping.0.weight'].shape[0]

    @staticmethod
    def load(path, dtype=torch.float32):
        return Generator({name: t.to(dtype) for name, t in load_file(path).items()})

    def mapping(self, z):
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for i in range(self.layers):
            x = F.leaky_relu(F.linear(x, self.weights[f'mapping.{i}.weight'], self.weights[f'mapping.{i}.bias']), 0.2) * math.sqrt(2)
        return x

    def synthesis(self, w):
        """w: [n, style_dim], or W+ [n, 3 * blocks + 1, style_dim]."""
        use = (lambda k: w) if w.dim() == 2 else (lambda k: w[:, k])
        x = self.weights['input.input'].expand(len(w), -1, -1, -1)
        x = self._styled(x, use(0), 'conv1')
        for i in range(self.blocks):
            x = haar(x * self._style(use(3 * i + 1), f'layers.{i}.up'))
            x = self._styled(x, use(3 * i + 1), f'layers.{i}.conv1')
            x = self._styled(x, use(3 * i + 2), f'layers.{i}.conv2')
        name = f'layers.{self.blocks - 1}.to_img'
        x = F.conv2d(x * self._style(use(3 * self.blocks), name + '.conv'), self.weights[name + '.conv.weight'], self.weights[name + '.bias'])
        return haar(x)

    def _style(self, w, name):
        s = F.linear(w, self.weights[name + '.modulation.weight'], self.weights[name + '.modulation.bias'])
        return (s * self.weights.get(name + '.scale', 1.0))[:, :, None, None]

    def _styled(self, x, w, name):
        x = x * self._style(w, name + '.conv')
        if name + '.conv.weight' in self.weights:
            x = F.conv2d(x, self.weights[name + '.conv.weight'], padding=1)
        else:
            x = F.conv2d(x, self.weights[name + '.conv.weight_dw'], padding=1, groups=x.shape[1])
            x = F.conv2d(x, self.weights[name + '.conv.weight_permute'])
        return F.leaky_relu(x + self.weights[name + '.noise'] + self.weights[name + '.bias'][:, None, None], 0.2)


def latents(count, width):
    return torch.from_numpy(np.random.RandomState(1).standard_normal((count, width)).astype(np.float32))


def openvino_networks(folder):
    import openvino
    core, run = openvino.Core(), {}
    for name in ('MappingNetwork', 'SynthesisNetwork'):
        config = {'INFERENCE_PRECISION_HINT': 'f32'}  # some processors would round to bfloat16
        run[name] = core.compile_model(core.read_model(str(pathlib.Path(folder) / f'{name}.xml')), 'CPU', config)
    return lambda z: run['MappingNetwork'](z)[0], lambda w: run['SynthesisNetwork'](w)[0]


def judge(pictures, shape, worst_w, worst_image, spread):
    print(f'{pictures} latents: mapping differs by {worst_w:.2g} at most, pictures {shape} by {worst_image:.3g} of a range of {spread:.2f}')
    if worst_w > MAPPING_TOLERANCE or worst_image > PICTURE_TOLERANCE * spread:
        sys.exit('too far from OpenVINO')


def engine(args):
    import gan2shape
    mapping, synthesis = openvino_networks(args.models)
    z = latents(args.pictures, 512).numpy()
    w = np.concatenate([mapping(row[None]) for row in z])
    worst_w = np.abs(gan2shape.Generator(str(pathlib.Path(args.weights) / 'mobilestylegan.safetensors')).mapping(z) - w).max()
    with tempfile.TemporaryDirectory() as scratch:
        np.save(f'{scratch}/w.npy', w)
        subprocess.run([args.program[0], 'generate', *args.program[1:], '--weights', args.weights, '--latent', f'{scratch}/w.npy', '--raw', '--force', '--out', scratch], check=True)
        images = np.load(f'{scratch}/images.npy')
    worst, spread = 0.0, 0.0
    for row, image in zip(w, images):
        want = synthesis(row[None])[0].transpose(1, 2, 0)
        worst, spread = max(worst, np.abs(image - want).max()), max(spread, want.max() - want.min())
    judge(args.pictures, images.shape[1:], worst_w, worst, spread)


def check(args):
    mapping, synthesis = openvino_networks(args.models)
    g = Generator.load(args.weights)
    worst_w = worst_image = spread = 0.0
    with torch.no_grad():
        for z in latents(args.pictures, g.style_dim).split(1):
            w, want_w = g.mapping(z), torch.from_numpy(mapping(z.numpy()))
            image, want = g.synthesis(want_w), torch.from_numpy(synthesis(want_w.numpy()))
            worst_w = max(worst_w, (w - want_w).abs().max().item())
            worst_image, spread = max(worst_image, (image - want).abs().max().item()), max(spread, (want.max() - want.min()).item())
    judge(args.pictures, tuple(image.shape[1:]), worst_w, worst_image, spread)


def compare(args):
    a, b = Generator.load(args.weights), Generator.load(args.other)
    differences = []
    with torch.no_grad():
        for z in latents(args.pictures, a.style_dim).split(1):
            w = a.mapping(z)
            differences.append((a.synthesis(w) - b.synthesis(w)).abs() * 127.5)
    d = torch.cat(differences)
    print(f'{args.pictures} pictures {tuple(d.shape[1:])}: differences in 255ths, mean {d.mean():.3g}, largest {d.max():.3g}')


def shapes(case):
    """Names and shapes of a network, in the order of the converter's files."""
    style, sizes = case['style_dim'], {}

    def modulation(name, channels):
        sizes[name + '.modulation.weight'], sizes[name + '.modulation.bias'] = (channels, style), (channels,)

    def styled(name, cin, cout, side):
        sizes[name + '.conv.scale'] = ()
        modulation(name + '.conv', cin)
        sizes[name + '.noise'], sizes[name + '.bias'] = (1, 1, side, side), (cout,)

    for i in range(case['mapping_layers']):
        sizes[f'mapping.{i}.weight'], sizes[f'mapping.{i}.bias'] = (style, style), (style,)
    cin = case['first']
    sizes['input.input'], sizes['conv1.conv.weight'] = (1, cin, 4, 4), (cin, cin, 3, 3)
    styled('conv1', cin, cin, 4)
    for i, cout in enumerate(case['channels']):
        modulation(f'layers.{i}.up', cin)
        for conv, before in (('conv1', cin // 4), ('conv2', cout)):
            name = f'layers.{i}.{conv}'
            sizes[name + '.conv.weight_dw'], sizes[name + '.conv.weight_permute'] = (before, 1, 3, 3), (cout, before, 1, 1)
            styled(name, before, cout, 8 << i)
        cin = cout
    name = f'layers.{len(case["channels"]) - 1}.to_img'
    sizes[name + '.conv.weight'], sizes[name + '.bias'], sizes[name + '.conv.scale'] = (12, cin, 1, 1), (12,), ()
    modulation(name + '.conv', cin)
    return sizes


def hashed_weights(case):
    """Every parameter a multiple of u("CASE/G/NAME", i), plus 1 for biases of modulations: sqrt(3) u for what multiplies, and over the root of
    what is summed for weights of the mapping and of modulations; 0.1 u for biases and noise. `scale` is 1 / sqrt(9 c) of
    the channels that it multiplies (of to_img 1 / sqrt(c)), times 1.25 after the first layer."""
    sizes = shapes(case)
    weights = {}
    for name, shape in sizes.items():
        if name.endswith('.scale'):
            channels = sizes[name[:-len('scale')] + 'modulation.bias'][0]
            taps = 1 if '.to_img.' in name else 9
            weights[name] = rounded((1.0 if name.startswith('conv1.') else 1.25) / math.sqrt(taps * channels))
            continue
        scale, offset = math.sqrt(3), 0.0
        if name.endswith('modulation.weight') or name.startswith('mapping.') and name.endswith('weight'):
            scale /= math.sqrt(shape[1])
        elif name.endswith('.bias') or name.endswith('.noise'):
            scale, offset = 0.1, float(name.endswith('modulation.bias'))
        weights[name] = rounded(offset + scale * hashed(f'{case["name"]}/G/{name}', shape))
    return weights


def golden(_):
    arrays = {}
    for case in json.loads((ROOT / 'models/mobilestylegan.json').read_text())['cases']:
        name, g = case['name'], Generator(hashed_weights(case))

        def hashed_leaf(what, shape, scale):
            return rounded(scale * hashed(f'{name}/{what}', shape)).requires_grad_()

        def add(what, x):
            assert x.dtype == torch.float64 and torch.isfinite(x).all(), (name, what)
            arrays[f'{name}/{what}'] = sketch(x.detach().numpy().ravel(), SKETCH)

        def add_gradient(what, y, x):
            dy = rounded(hashed(f'{name}/{what}/dy', tuple(y.shape)))
            add(f'{what}_grad', torch.autograd.grad((y * dy).sum(), x)[0])

        shape = (case['batch'], g.latents, g.style_dim) if case.get('wplus') else (case['batch'], g.style_dim)
        w, z = hashed_leaf('w', shape, 0.5), hashed_leaf('z', (case['batch'], g.style_dim), math.sqrt(3))
        image, mapped = g.synthesis(w), g.mapping(z)
        for what, y, x in (('image', image, w), ('mapping', mapped, z)):
            add(what, y)
            add_gradient(what, y, x)
        print(f'{name}: picture {tuple(image.shape)}, standard deviation {image.std():.2f}')
    data = encode(arrays, {})
    (ROOT / 'models/mobilestylegan.golden.safetensors').write_bytes(data)
    print(f'{len(data) / 1024:.0f} KB')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run, places in (('check', check, ('weights', 'models')), ('engine', engine, ('weights', 'models')), ('compare', compare, ('weights', 'other')), ('golden', golden, ())):
        command = commands.add_parser(name)
        for place in places:
            command.add_argument(place)
        if name == 'engine':
            command.add_argument('program', nargs='+')
        command.add_argument('--pictures', type=int, default=4)
        command.set_defaults(run=run)
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.run(args)


if __name__ == '__main__':
    main()
