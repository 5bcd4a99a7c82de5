#!/usr/bin/env python3
"""Computes models/networks.golden.safetensors in f64 with PyTorch from models/networks.json, every weight hashed from its name.

    make_network_goldens.py --reference SRC --u2netp u2netp.onnx

SRC holds the reference's package `gan2shape` (its `networks.py` and its copy of rosinality's StyleGAN2), with a module variable CHANNELS in the
StyleGAN2 model that overrides its table of widths. Needs torch, numpy, safetensors, pillow, onnxruntime. Tensors are in the checkpoint's layout;
large ones are stored as a sketch, as models/networks.test.cpp makes it.
"""
import argparse
import contextlib
import importlib.util
import io
import json
import math
import pathlib
import sys

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from make_goldens import encode, hashed, rounded, sketch  # noqa: E402

BIG, SMALL = 256, 40  # buckets of a sketch: of outputs, of parameters' gradients
TO_RGB_SCALE = 0.4


def u(name, like):
    return rounded(hashed(name, tuple(like)))


def scaled(name, shape, scale, offset=0.0):
    return rounded(offset + scale * hashed(name, tuple(shape)))


class Results:
    def __init__(self, case):
        self.case, self.arrays = case, {}

    def add(self, name, x, size=BIG):
        assert x.dtype == torch.float64 and torch.isfinite(x).all(), (self.case, name)
        self.arrays[f'{self.case}/{name}'] = sketch(x.detach().numpy().ravel(), size)

    def gradients(self, prefix, value, named):
        """Gradients of the scalar `value` to [(name, tensor)]."""
        grads = torch.autograd.grad(value, [t for _, t in named], retain_graph=True, create_graph=False, allow_unused=True)
        for (name, t), g in zip(named, grads):
            self.add(f'{prefix}/{name}', torch.zeros_like(t) if g is None else g, SMALL if '.' in name else BIG)

    def cotangent(self, name, x):
        return u(f'{self.case}/{name}/dy', x.shape)


def fill_gan(net, name, rule):
    with torch.no_grad():
        for key, value in net.state_dict().items():
            if not key.endswith('kernel'):
                value.copy_(scaled(f'{name}/{key}', value.shape, *rule(key)))


def generator_rule(key):
    if key.startswith('style.'):
        return ((math.sqrt(3) if key.endswith('weight') else 0.1) / 0.01,)
    if key.endswith('modulation.bias'):
        return 0.1, 1.0
    if key.endswith('bias') or key.endswith('noise.weight'):
        return (0.1,)
    if key.startswith('to_rgb') and key.endswith('conv.weight') and 'modulation' not in key:
        return (math.sqrt(3) * TO_RGB_SCALE,)
    return (math.sqrt(3),)


def run_generator(case, out, modules):
    channels = case['channels']
    size = 4 << (len(channels) - 1)
    modules.stylegan2.CHANNELS = {4 << i: c for i, c in enumerate(channels)}
    net = modules.stylegan2.Generator(size, case['style_dim'], case['mapping_layers']).double()
    fill_gan(net, f'{out.case}/G', generator_rule)
    shape = (case['batch'], net.n_latent, case['style_dim']) if case.get('wplus') else (case['batch'], case['style_dim'])
    w = scaled(f'{out.case}/w', shape, 0.5).requires_grad_()
    image = net([w], input_is_w=True)[0]
    out.add('image', image)
    parameters = [(n, p) for n, p in net.named_parameters() if not n.startswith('style.')] if case.get('trainable') else []
    value = (image * out.cotangent('image', image)).sum()
    out.gradients('grad', value, [('w', w)] + parameters)
    if case.get('trainable'):  # path length: second derivatives
        g, = torch.autograd.grad(value, w, create_graph=True)
        out.gradients('second', g.square().sum(), [('w', w)] + [(n, p) for n, p in parameters if not n.startswith('to_rgb') or 'modulation' in n or 'conv' in n])
    z = scaled(f'{out.case}/z', (case['batch'], case['style_dim']), math.sqrt(3)).requires_grad_()
    mapped = net.style_forward(z)
    out.add('mapping', mapped)
    out.add('mapping_head', net.style_forward(z, depth=2))
    value = (mapped * out.cotangent('mapping', mapped)).sum()
    mapping = [(n, p) for n, p in net.named_parameters() if n.startswith('style.')] if case.get('trainable') else []
    out.gradients('mapping_grad', value, [('z', z)] + mapping)


def run_discriminator(case, out, modules):
    channels = case['channels']
    size = 4 << (len(channels) - 1)
    modules.stylegan2.CHANNELS = {size >> i: c for i, c in enumerate(channels)}
    net = modules.stylegan2.Discriminator(size).double()
    fill_gan(net, f'{out.case}/D', lambda key: (0.1 if key.endswith('bias') else math.sqrt(3),))
    side = case.get('size', size)
    x = u(f'{out.case}/x', (case['batch'], 3, side, side)).requires_grad_()
    count = case.get('features', len(channels) - 1)
    features = net(x, count)[1][:count]
    value = sum((f * out.cotangent(f'feature{i}', f)).mean() for i, f in enumerate(features))
    for i, f in enumerate(features):
        out.add(f'feature{i}', f)
    out.gradients('feature_grad', value, [('x', x)])
    if not case.get('trainable'):
        return
    logits = net(x)[0]
    out.add('logits', logits)
    named = [('x', x)] + list(net.named_parameters())
    out.gradients('grad', (logits * out.cotangent('logits', logits)).sum(), named)
    g, = torch.autograd.grad(logits.sum(), x, create_graph=True)
    r1 = g.square().sum() / case['batch']
    out.add('r1', r1)
    out.gradients('r1_grad', r1, [n for n in named if n[0] != 'final_linear.1.bias'])


def fill_net(net, name, last_scale, smooth):
    kinds = dict(net.named_modules())
    convs = [n for n, m in kinds.items() if isinstance(m, (torch.nn.Conv2d, torch.nn.ConvTranspose2d))]
    order = [n for n, _ in net.named_parameters() if n.rpartition('.')[0] in convs and n.endswith('weight')]
    with torch.no_grad():
        for key, p in net.named_parameters():
            module = kinds[key.rpartition('.')[0]]
            if key not in order:
                p.copy_(scaled(f'{name}/{key}', p.shape, 0.1, float(isinstance(module, torch.nn.GroupNorm) and key.endswith('weight'))))
                continue
            fan_in = p.numel() // p.shape[1 if isinstance(module, torch.nn.ConvTranspose2d) else 0]
            x = hashed(f'{name}/{key}', tuple(p.shape))
            if smooth and key in order[-3:]:
                x = x[..., :1, :1] + 0.25 * x
            p.copy_(rounded(math.sqrt(3) * math.sqrt(2 / fan_in) * (last_scale if key == order[-1] else 1) * x))


def run_net(case, out, modules):
    activation = torch.nn.Tanh if case['activation'] == 'tanh' else None
    options = dict(cin=3, cout=case['cout'], size=case['size'], nf=case['nf'], activation=activation)
    if case['net'] == 'ed_deconv':
        net = modules.networks.EDDeconv(zdim=case['zdim'], gn_base=case['gn_base'], **options)
    else:
        net = (modules.networks.Encoder if case['net'] == 'encoder' else modules.networks.ResEncoder)(**options)
    net = net.double()
    fill_net(net, f'{out.case}/net', case['last_scale'], case.get('smooth', False))
    x = u(f'{out.case}/x', (case['batch'], 3, case['size'], case['size'])).requires_grad_()
    y = net(x * 1)  # the reference's activations work in place
    out.add('out', y)
    out.gradients('grad', (y * out.cotangent('out', y)).sum(), [('x', x)] + list(net.named_parameters()))


def run_lpips(case, out, modules):
    weights = {k: v.double() for k, v in load_file(ROOT / 'assets/lpips_vgg.safetensors').items()}
    b, h, w, c = case['shape']
    pictures = [u(f'{out.case}/{k}', (b, c, h, w)).requires_grad_() for k in 'ab']
    shift, scale = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in ((-.030, -.088, -.188), (.458, .448, .450)))

    def taps(x):
        x, found = (x - shift) / scale, []
        for i in range(31):
            if f'net.features.{i}.weight' in weights:
                x = F.relu(F.conv2d(x, weights[f'net.features.{i}.weight'], weights[f'net.features.{i}.bias'], padding=1))
            elif i in (4, 9, 16, 23, 30):  # the pooling layers; a tap lies before each
                found.append(x)
                x = F.max_pool2d(x, 2, 2)
        return [f / (f.square().sum(1, keepdim=True).sqrt() + 1e-10) for f in found]

    distance = sum(F.conv2d((p - q).square(), weights[f'lin{i}.weight']).mean((1, 2, 3)) for i, (p, q) in enumerate(zip(*map(taps, pictures))))
    out.add('distance', distance)
    out.gradients('grad', (distance * out.cotangent('distance', distance)).sum(), list(zip('ab', pictures)))


def run_u2netp(case, out, modules):
    image = np.asarray(Image.open(ROOT / case['image']).convert('RGB'), np.float32) / 255
    x = F.interpolate(torch.from_numpy(image.transpose(2, 0, 1)[None].copy()), (320, 320), mode='bilinear', align_corners=False)
    mean, sd = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    x = (x / x.max() - mean) / sd
    saliency = torch.from_numpy(modules.u2netp.run(None, {modules.u2netp.get_inputs()[0].name: x.numpy()})[0]).double()
    p = (saliency - saliency.min()) / (saliency.max() - saliency.min())
    out.add('saliency', saliency)
    out.add('probability', F.adaptive_avg_pool2d(p, image.shape[:2])[0, 0])


def varint(data, i):
    value = shift = 0
    while True:
        byte = data[i]
        value |= (byte & 127) << shift
        i, shift = i + 1, shift + 7
        if byte < 128:
            return value, i


def fields(data, begin, end):
    """(number, first byte, last byte + 1) of a protobuf message's length-delimited fields; (number, value, None) of its integers."""
    i = begin
    while i < end:
        key, i = varint(data, i)
        if key & 7 == 0:
            value, i = varint(data, i)
            yield key >> 3, value, None
        elif key & 7 == 2:
            size, i = varint(data, i)
            yield key >> 3, i, i + size
            i += size
        else:
            i += 4 if key & 7 == 5 else 8


def with_f16_weights(path):
    """An ONNX model's bytes with its convolution weights rounded to f16, as the shipped file stores them."""
    data = bytearray(pathlib.Path(path).read_bytes())
    graph = next((b, e) for n, b, e in fields(data, 0, len(data)) if n == 7)
    count = 0
    for number, begin, end in list(fields(data, *graph)):
        if number != 5:  # an initializer: dims are field 1, its data field 9
            continue
        tensor = list(fields(data, begin, end))
        dims = [b for n, b, e in tensor if n == 1 and e is None] or [0 for n, b, e in tensor if n == 1 for _ in range(e - b)]
        raw = [(b, e) for n, b, e in tensor if n == 9]
        if len(dims) == 4 and raw:
            b, e = raw[0]
            data[b:e] = np.frombuffer(bytes(data[b:e]), '<f4').astype('<f2').astype('<f4').tobytes()
            count += 1
    assert count > 100, count
    return bytes(data)


def import_file(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    with contextlib.redirect_stdout(io.StringIO()):
        spec.loader.exec_module(module)
    return module


class Modules:
    def __init__(self, reference, u2netp):
        folder = pathlib.Path(reference) / 'gan2shape'
        sys.path.insert(0, str(folder / 'stylegan2/stylegan2-pytorch'))
        self.stylegan2 = import_file('stylegan2_model', folder / 'stylegan2/stylegan2-pytorch/model.py')
        self.networks = import_file('networks', folder / 'networks.py')
        self.u2netp = onnxruntime.InferenceSession(with_f16_weights(u2netp))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--reference', required=True)
    parser.add_argument('--u2netp', required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    modules = Modules(args.reference, args.u2netp)
    runners = {'generator': run_generator, 'discriminator': run_discriminator, 'lpips': run_lpips, 'u2netp': run_u2netp}
    arrays = {}
    for case in json.loads((ROOT / 'models/networks.json').read_text())['cases']:
        out = Results(case['name'])
        runners.get(case['net'], run_net)(case, out, modules)
        arrays |= out.arrays
        print(f'{out.case}: {len(out.arrays)} tensors')
    data = encode(arrays, {})
    (ROOT / 'models/networks.golden.safetensors').write_bytes(data)
    print(f'{len(data) / 1024:.0f} KB')


if __name__ == '__main__':
    main()
