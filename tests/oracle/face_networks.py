#!/usr/bin/env python3
"""The face networks in PyTorch, run operator by operator from the list in their safetensors files, next to LiteRT on the TFLite files.

    face_networks.py NETWORK.safetensors MODEL.tflite PICTURE...

Says how far the two are apart on each picture, in the outputs' own units: pixels of the network's input for boxes and points, logits for scores.
Needs torch, numpy, safetensors, pillow, ai-edge-litert.
"""
import argparse
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open

TOLERANCE = 0.25  # pixels and logits: halves where the model has f32


def nchw(x):
    return x.permute(0, 3, 1, 2)


def same_padding(size, kernel, stride):
    """TensorFlow's "same": what is odd goes behind."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def padded(x, options, kernel, value=0.0):
    if options['padding'] == 'valid':
        return x
    rows, columns = (same_padding(x.shape[2 + i], kernel[i], options['stride'][i]) for i in range(2))
    return F.pad(x, (*columns, *rows), value=value)


def activated(x, options):
    kind = options.get('activation', 'none')
    assert kind in ('none', 'relu'), kind
    return F.relu(x) if kind == 'relu' else x


class Network:
    def __init__(self, path):
        with safe_open(path, 'pt') as f:
            self.graph = json.loads(f.metadata()['graph'])
            self.constants = {name: f.get_tensor(name) for name in f.keys()}
        self.constants = {name: t.float() if t.is_floating_point() else t for name, t in self.constants.items()}

    def __call__(self, picture):
        """picture: [1, rows, columns, 3]; gives the outputs in the file's order."""
        values = {**self.constants, self.graph['inputs'][0]['name']: picture}
        for op in self.graph['operators']:
            inputs = [values[name] for name in op['inputs']]
            y = activated(getattr(self, op['op'].lower())(op['options'], *inputs), op['options'])
            assert list(y.shape) == op['shapes'][0], op
            values[op['outputs'][0]] = y
        return [values[o['name']] for o in self.graph['outputs']]

    def conv_2d(self, options, x, weight, bias):  # OHWI
        y = F.conv2d(padded(nchw(x), options, weight.shape[1:3]), weight.permute(0, 3, 1, 2), bias, options['stride'])
        return y.permute(0, 2, 3, 1)

    def depthwise_conv_2d(self, options, x, weight, bias):  # 1HWC
        assert options['multiplier'] == 1 and options['dilation'] == [1, 1]
        y = F.conv2d(padded(nchw(x), options, weight.shape[1:3]), weight.permute(3, 0, 1, 2), bias, options['stride'], groups=x.shape[3])
        return y.permute(0, 2, 3, 1)

    def max_pool_2d(self, options, x):
        y = F.max_pool2d(padded(nchw(x), options, options['filter'], float('-inf')), options['filter'], options['stride'])
        return y.permute(0, 2, 3, 1)

    def add(self, _, a, b):
        return a + b

    def relu(self, _, x):
        return F.relu(x)

    def prelu(self, _, x, alpha):
        return torch.where(x < 0, alpha * x, x)

    def pad(self, _, x, amounts):
        return F.pad(x, [int(n) for pair in reversed(amounts.tolist()) for n in pair])

    def reshape(self, options, x, *_):
        return x.reshape(options['shape'])

    def concatenation(self, options, *parts):
        return torch.cat(parts, options['axis'])

    def resize_bilinear(self, options, x, size):
        assert not options['align_corners']
        mode = dict(size=size.tolist(), mode='bilinear', align_corners=False)
        if not options['half_pixel_centers']:
            raise NotImplementedError('corners at pixel 0')
        return F.interpolate(nchw(x), **mode).permute(0, 2, 3, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('network')
    parser.add_argument('model')
    parser.add_argument('pictures', nargs='+')
    args = parser.parse_args()
    from ai_edge_litert.interpreter import Interpreter
    network, model = Network(args.network), Interpreter(args.model)
    model.allocate_tensors()
    place = {d['name']: d['index'] for d in model.get_output_details()}
    side = network.graph['inputs'][0]['shape'][1]
    low = -1.0 if network.graph['outputs'][0]['shape'][1] > 1 else 0.0  # detectors want [-1, 1], landmarks [0, 1]
    worst = 0.0
    for name in args.pictures:
        x = np.asarray(Image.open(name).convert('RGB').resize((side, side)), np.float32)[None] / 255
        x = low + (1 - low) * x
        model.set_tensor(model.get_input_details()[0]['index'], x)
        model.invoke()
        with torch.no_grad():
            got = network(torch.from_numpy(x))
        found = [np.abs(y.numpy() - model.get_tensor(place[o['name']])).max() for y, o in zip(got, network.graph['outputs'])]
        print(f'{name}: largest differences', ', '.join(f'{o["name"]} {d:.3g}' for o, d in zip(network.graph['outputs'], found)))
        worst = max(worst, *found)
    if worst > TOLERANCE:
        sys.exit('too far from LiteRT')


if __name__ == '__main__':
    main()
