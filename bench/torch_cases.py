#!/usr/bin/env python3
"""g2s_bench's cases in plain PyTorch, written for speed there: channels-last, shared weights of modulated convolutions, frozen weights without gradients.

torch_cases.py --list
torch_cases.py --case NAME --device cuda|cpu --form eager|compiled --precision f32|tf32|bf16 [--layout channels_last|contiguous] [--repeat 10]

Prints one line of JSON: times from an idle device to an idle device, medians, peak memory of the device and of the process.
"""
import argparse
import json
import resource
import statistics
import sys
import time

import torch
import torch.nn.functional as F

VGG = [(64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)]
WIDTHS = {64: [128, 128, 128, 64, 32], 128: [512, 512, 512, 512, 256, 128]}
ROOT2 = 2 ** 0.5


form = {'wrap': lambda f: f,  # what compiles a forward function, if it is to be compiled
        'layout': torch.channels_last}


def picture(*shape, grad=False):
    """NCHW, channels last unless --layout says otherwise."""
    return torch.randn(*shape).to(memory_format=form['layout']).requires_grad_(grad)


def backward_case(f, *inputs):
    """Forward and the gradients to the inputs that want them."""
    f, wanted = form['wrap'](f), [x for x in inputs if x.requires_grad]
    with torch.no_grad():
        gradient = torch.randn_like(f(*inputs))
    return lambda: torch.autograd.grad(f(*inputs), wanted, gradient)


def conv_case(batch, side, cin, cout, kernel, stride, mode):
    x, w = picture(batch, cin, side, side), picture(cout, cin, kernel, kernel)
    pad = (kernel - 1) // 2
    if mode == 'fwd':
        return form['wrap'](lambda: F.conv2d(x, w, stride=stride, padding=pad))
    dy = picture(batch, cout, side // stride, side // stride)
    which = [mode == 'dx', mode == 'dw', False]
    return lambda: torch.ops.aten.convolution_backward(dy, x, w, None, [stride] * 2, [pad] * 2, [1, 1], False, [0, 0], 1, which)


def blur_kernel():
    k = torch.tensor([1., 3., 3., 1.])
    return k[:, None] * k[None] / 64


def blur(x, pad, gain):
    c = x.shape[1]
    return F.conv2d(x, (blur_kernel() * gain).to(x).expand(c, 1, 4, 4), padding=pad, groups=c)


def styled(x, w, style, noise, bias, up):
    """Style, convolution with shared weights, demodulation, noise, bias, activation."""
    d = torch.rsqrt((w.square().sum((2, 3))[None] * style.square()[:, None]).sum(2) + 1e-8)
    x = x * style[:, :, None, None]
    y = blur(F.conv_transpose2d(x, w.transpose(0, 1), stride=2), 1, 4) if up else F.conv2d(x, w, padding=1)
    return F.leaky_relu(y * d[:, :, None, None] + noise + bias[:, None, None], 0.2) * ROOT2


def styled_case(batch, side, cin, cout, up):
    after = 2 * side if up else side
    x, style = picture(batch, cin, side, side, grad=True), torch.randn(batch, cin, requires_grad=True)
    w, noise, bias = picture(cout, cin, 3, 3), picture(1, 1, after, after), torch.randn(cout)
    return backward_case(lambda x, w, style, noise, bias: styled(x, w, style, noise, bias, up), x, w, style, noise, bias)


class Generator(torch.nn.Module):
    """StyleGAN2's synthesis network."""

    def __init__(self, size):
        super().__init__()
        widths = WIDTHS[size]
        self.constant = picture(1, widths[0], 4, 4)
        self.layers, self.colours, cin = [], [], widths[0]
        for level, cout in enumerate(widths):
            for up in ([False] if level == 0 else [True, False]):
                side = 4 << level
                self.layers.append((picture(cout, cin, 3, 3) / (cin * 9) ** 0.5, torch.randn(512, cin) / 512 ** 0.5, picture(1, 1, side, side) * 0.1, torch.zeros(cout), up))
                cin = cout
            self.colours.append((picture(3, cin, 1, 1) / cin ** 0.5, torch.randn(512, cin) / 512 ** 0.5))

    def forward(self, w):
        x, picture_so_far, layer = self.constant.expand(len(w), -1, -1, -1), None, iter(self.layers)
        for level, (rgb, to_style) in enumerate(self.colours):
            for _ in range(1 if level == 0 else 2):
                weight, style, noise, bias, up = next(layer)
                x = styled(x, weight, w @ style + 1, noise, bias, up)
            y = F.conv2d(x * (w @ to_style + 1)[:, :, None, None], rgb)
            if picture_so_far is not None:
                y = y + blur(F.conv_transpose2d(picture_so_far, torch.ones(3, 1, 1, 1).to(y), stride=2, output_padding=1, groups=3), (2, 2), 4)[:, :, :y.shape[2], :y.shape[3]]
            picture_so_far = y
        return picture_so_far


def generator_case(network, size, batch, backward):
    g, w = form['wrap'](network(size)), torch.randn(batch, 512, requires_grad=backward)

    def run():
        if not backward:
            with torch.no_grad():
                return g(w)
        return torch.autograd.grad(g(w).square().mean(), [w])
    return run


class MobileGenerator(torch.nn.Module):
    """MobileStyleGAN's synthesis network, cut where it draws pictures of a size."""

    def __init__(self, size):
        super().__init__()
        self.constant, side, cin = picture(1, 512, 4, 4), 4, 512
        self.first = (picture(512, 512, 3, 3) / 68, *self.to_style(512), picture(1, 1, 4, 4) * 0.1, torch.zeros(512))
        self.blocks = []
        for cout in (512, 512, 512, 512, 256, 128, 64):
            if side * 2 >= size:
                break
            side *= 2
            layers = [(picture(c, 1, 3, 3) / 3, picture(cout, c, 1, 1) / c ** 0.5, *self.to_style(c), picture(1, 1, side, side) * 0.1, torch.zeros(cout)) for c in (cin // 4, cout)]
            self.blocks.append((haar_kernel(cin // 4), *self.to_style(cin), *layers))
            cin = cout
        self.colours = (picture(12, cin, 1, 1) / cin ** 0.5, *self.to_style(cin), torch.zeros(12), haar_kernel(3))

    def to_style(self, channels):
        return torch.randn(channels, 512) / 512 ** 0.5, torch.ones(channels)

    def forward(self, w):
        weight, a, b, noise, bias = self.first
        x = self.constant.expand(len(w), -1, -1, -1) * F.linear(w, a, b)[:, :, None, None]
        x = F.leaky_relu(F.conv2d(x, weight, bias, padding=1) + noise, 0.2)
        for kernel, a, b, *layers in self.blocks:
            x = haar_step(x, F.linear(w, a, b), kernel)
            for taps, pointwise, a, b, noise, bias in layers:
                x = F.leaky_relu(F.conv2d(depthwise(x, F.linear(w, a, b), taps), pointwise, bias) + noise, 0.2)
        pointwise, a, b, bias, kernel = self.colours
        return inverse_haar(F.conv2d(x * F.linear(w, a, b)[:, :, None, None], pointwise, bias), kernel)


def lpips_case(size, batch):
    weights, cin = [], 3
    for block in VGG:
        weights.append([])
        for cout in block:
            weights[-1].append((picture(cout, cin, 3, 3) * (2 / (9 * cin)) ** 0.5, torch.zeros(cout)))
            cin = cout
    heads = [torch.rand(1, block[-1], 1, 1) for block in VGG]
    a, b = picture(batch, 3, size, size, grad=True), picture(batch, 3, size, size)

    def features(x):
        taps = []
        for i, block in enumerate(weights):
            x = F.max_pool2d(x, 2) if i else x
            for w, bias in block:
                x = F.relu(F.conv2d(x, w, bias, padding=1))
            taps.append(x)
        return taps

    def normal(x):
        return x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10)

    def distance(x, target):
        return sum(((normal(u) - normal(v)).square() * h).sum(1).mean() for u, v, h in zip(features(x), target, heads))
    features, distance = form['wrap'](features), form['wrap'](distance)

    def run():
        with torch.no_grad():
            target = features(b)
        return torch.autograd.grad(distance(a, target), [a])
    return run


def adam_case():
    p = torch.randn(8 << 20, requires_grad=True)
    p.grad = torch.randn_like(p)
    return torch.optim.Adam([p], lr=1e-4, weight_decay=5e-4, fused=p.is_cuda).step


def group_norm_case():
    return backward_case(lambda x, w, b: F.relu(F.group_norm(x, 16, w, b)), picture(16, 64, 64, 64, grad=True), torch.randn(64, requires_grad=True), torch.randn(64, requires_grad=True))


def grid_sample_case():
    grid = (torch.rand(16, 128, 128, 2) * 2 - 1).requires_grad_()
    return backward_case(lambda x, g: F.grid_sample(x.expand(16, -1, -1, -1), g, align_corners=True), picture(1, 3, 128, 128, grad=True), grid)


def bias_act_case():
    return backward_case(lambda x, b: F.leaky_relu(x + b[:, None, None], 0.2) * ROOT2, picture(16, 64, 128, 128, grad=True), torch.randn(64))


def haar_kernel(channels):
    signs = torch.tensor([[1., 1., 1., 1.], [1., 1., -1., -1.], [1., -1., 1., -1.], [1., -1., -1., 1.]]) / 2
    return signs.reshape(4, 1, 2, 2).repeat(channels, 1, 1, 1)


def inverse_haar(x, w):
    c = w.shape[0] // 4
    bands = torch.cat([x[:, :c, None], x[:, c:].unflatten(1, (c, 3))], 2).flatten(1, 2)
    return F.conv_transpose2d(bands, w, stride=2, groups=c)


def haar_step(x, style, w):
    return inverse_haar(x * style[:, :, None, None], w)


def small_network_case(layer, batch, side, channels, backward, *constants, layout=torch.channels_last):
    """What a layer of MobileStyleGAN does to style * x, alone or with the gradients to x and style."""
    x = torch.randn(batch, channels, side, side).to(memory_format=layout).requires_grad_(backward)
    style = torch.randn(batch, channels, requires_grad=backward)
    if backward:
        return backward_case(layer, x, style, *constants)
    layer = form['wrap'](layer)

    def run():
        with torch.no_grad():
            return layer(x, style, *constants)
    return run


def depthwise(x, style, w):
    return F.conv2d(x * style[:, :, None, None], w, padding=1, groups=x.shape[1])


def depthwise_case(batch, side, channels, backward):
    return small_network_case(depthwise, batch, side, channels, backward, picture(channels, 1, 3, 3))


def separable_case(batch, side, channels, backward, out=None):
    def layer(x, style, w, pointwise, noise, bias):
        return F.leaky_relu(F.conv2d(depthwise(x, style, w), pointwise, bias) + noise, 0.2)
    return small_network_case(layer, batch, side, channels, backward, picture(channels, 1, 3, 3), picture(out or channels, channels, 1, 1),
                              picture(1, 1, side, side), torch.randn(out or channels))


def separable_widening_case(batch, side, channels, backward):
    """Behind a Haar step."""
    return separable_case(batch, side, 128, backward, channels)


def haar_case(batch, side, channels, backward):
    """As a transposed convolution of channels first: of the ways that PyTorch offers the fastest."""
    return small_network_case(haar_step, batch, side, channels, backward, haar_kernel(channels // 4), layout=torch.contiguous_format)


def matmul_case(m, n, k):
    a, b = torch.randn(m, k), torch.randn(n, k)
    return form['wrap'](lambda: a @ b.T)


CASES = {
    'op_styled_16x128_128_128_fwdbwd': lambda: styled_case(16, 128, 128, 128, False),
    'op_styled_16x64_256_128_up_fwdbwd': lambda: styled_case(16, 64, 256, 128, True),
    'op_styled_1x32_512_512_fwdbwd': lambda: styled_case(1, 32, 512, 512, False),
    'op_matmul_16x512_512': lambda: matmul_case(16, 512, 512),
    'op_matmul_2048x1024_1024': lambda: matmul_case(2048, 1024, 1024),
    'op_bias_act_16x128_64_fwdbwd': bias_act_case,
    'op_grid_sample_16x128_3_fwdbwd': grid_sample_case,
    'op_group_norm_16x64_64_fwdbwd': group_norm_case,
    'op_max_pool_16x128_64_fwdbwd': lambda: backward_case(lambda x: F.max_pool2d(x, 2), picture(16, 64, 128, 128, grad=True)),
    'op_blur_16x129_128_fwdbwd': lambda: backward_case(lambda x: blur(x, 1, 4), picture(16, 128, 129, 129, grad=True)),
    'op_resize_16x64_to_128_64_fwdbwd': lambda: backward_case(lambda x: F.interpolate(x, size=(128, 128), mode='bilinear'), picture(16, 64, 64, 64, grad=True)),
    'op_adam_8M': adam_case,
}
for batch in (1, 8):
    for side in (8, 16, 32, 64, 128):
        for case in [separable_case] + ([separable_widening_case, depthwise_case, haar_case] if side >= 64 else []):
            for backward in (False, True):
                sizes = (batch, side, 512 if side < 128 else 256, backward)
                CASES[f'op_{case.__name__[:-5]}_{batch}x{side}_{sizes[2]}_{"fwdbwd" if backward else "fwd"}'] = lambda case=case, sizes=sizes: case(*sizes)
CONVOLUTIONS = [('vgg_16x128_64_64', 16, 128, 64, 64, 3, 1), ('vgg_16x64_128_128', 16, 64, 128, 128, 3, 1), ('vgg_16x32_256_256', 16, 32, 256, 256, 3, 1),
                ('vgg_16x16_512_512', 16, 16, 512, 512, 3, 1), ('vgg_1x128_64_64', 1, 128, 64, 64, 3, 1), ('disc_1x64_256_512_down', 1, 64, 256, 512, 3, 2),
                ('net_16x32_64_128_k4', 16, 32, 64, 128, 4, 2), ('net_1x32_128_128_k5', 1, 32, 128, 128, 5, 1)]
for name, *sizes in CONVOLUTIONS:
    for mode in ('fwd', 'dx', 'dw'):
        if not (mode == 'dw' and name.startswith(('vgg', 'disc'))) and not (mode != 'dw' and 'k4' in name):
            CASES[f'op_conv_{name}_{mode}'] = lambda sizes=sizes, mode=mode: conv_case(*sizes, mode)
for batch in (1, 8, 16):
    for backward in (False, True):
        CASES[f'G128_b{batch}_{"fwdbwd" if backward else "fwd"}'] = lambda batch=batch, backward=backward: generator_case(Generator, 128, batch, backward)
        for size in (128, 256):
            CASES[f'mobile{size}_b{batch}_{"fwdbwd" if backward else "fwd"}'] = lambda size=size, batch=batch, backward=backward: generator_case(MobileGenerator, size, batch, backward)
for backward in (False, True):
    CASES[f'Gsmall64_b16_{"fwdbwd" if backward else "fwd"}'] = lambda backward=backward: generator_case(Generator, 64, 16, backward)
for size in (64, 128):
    for batch in (1, 16):
        CASES[f'LPIPS{size}_b{batch}_fwdbwd'] = lambda size=size, batch=batch: lpips_case(size, batch)


def time_case(a):
    cuda = a.device.startswith('cuda')
    if cuda and not torch.cuda.is_available():
        sys.exit('torch sees no CUDA device')
    torch.manual_seed(0)
    if a.threads:
        torch.set_num_threads(a.threads)
    torch.set_default_device(a.device)
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = a.precision == 'tf32'
    wait = torch.cuda.synchronize if cuda else lambda: None
    form['layout'] = getattr(torch, 'contiguous_format' if a.layout == 'contiguous' else a.layout)
    if a.form == 'compiled':
        form['wrap'] = torch.compile
    run, times = CASES[a.case](), []
    with torch.autocast(a.device.split(':')[0], dtype=torch.bfloat16, enabled=a.precision == 'bf16'):
        for _ in range(3 if cuda else 1):
            run()
        wait()
        for _ in range(a.repeat):
            begin = time.perf_counter()
            run()
            wait()
            times.append(time.perf_counter() - begin)
    return {'case': a.case, 'form': a.form, 'precision': a.precision, 'device': a.device, 'median_s': statistics.median(times), 'min_s': min(times), 'n': len(times),
            'times_s': times, 'torch': torch.__version__,
            'peak_rss_mib': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 10, 'peak_tensors_mib': torch.cuda.max_memory_allocated() / 2 ** 20 if cuda else None}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--list', action='store_true')
    p.add_argument('--case')
    p.add_argument('--device', default='cuda')
    p.add_argument('--form', choices=['eager', 'compiled'], default='eager')
    p.add_argument('--precision', choices=['f32', 'tf32', 'bf16'], default='f32')
    p.add_argument('--layout', choices=['channels_last', 'contiguous'], default='channels_last')
    p.add_argument('--threads', type=int, default=0)
    p.add_argument('--repeat', type=int, default=10)
    a = p.parse_args()
    if a.list:
        print('\n'.join(sorted(CASES)))
    elif a.case not in CASES:
        sys.exit(f'{a.case}: no such case; --list names them')
    else:
        print(json.dumps(time_case(a)))


if __name__ == '__main__':
    main()
