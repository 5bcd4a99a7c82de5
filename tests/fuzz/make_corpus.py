#!/usr/bin/env python3
"""Writes the small files that the fuzz targets start from, tests/fuzz/corpus/<reader>/. Needs PyTorch, numpy, onnx and safetensors.

Those of png, jpeg, webp, tiff, heif and pnm are members of tests/images/formats.zip; those of openvino and tflite are written by tests/fixtures/make_openvino.py and make_tflite.py.
"""
import collections
import io
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import onnx
import safetensors.numpy
import torch
from onnx import TensorProto, helper

HERE = os.path.dirname(os.path.abspath(__file__))


def write(reader, name, content):
    folder = os.path.join(HERE, 'corpus', reader)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), 'wb') as out:
        out.write(content)


def torch_bytes(value, **options):
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def deflated(content):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    return out.getvalue()


class Network:
    """As in NVIDIA's TensorFlow pickles; the class is a stand-in of ours."""

    def __init__(self, name, variables, components):
        self.__dict__.update(version=4, name=name, static_kwargs={'fmap_max': 8}, components=components, variables=variables)


class Wrapped:
    """An object as NVIDIA's PyTorch pickles have it."""

    def __init__(self, name, state):
        self.meta = {'type': 'class', 'version': 6, 'module_src': 'raise SystemExit', 'class_name': name, 'state': state}

    def __reduce__(self):
        return _reconstruct_persistent_obj, (self.meta,)


def _reconstruct_persistent_obj(meta):
    raise NotImplementedError


def rename(thing, module):
    """Lets pickle write `thing` under another module's name."""
    thing.__module__ = module
    parts = module.split('.')
    for i in range(len(parts)):
        sys.modules.setdefault('.'.join(parts[:i + 1]), types.ModuleType(parts[i]))
    setattr(sys.modules[module], thing.__name__, thing)


def main():
    base = torch.arange(6, dtype=torch.float32)
    state = collections.OrderedDict(weight=base.view(2, 3).t(), half=base[1:4].half(), brain=base.bfloat16(), flag=torch.tensor(True))
    small = {'g_ema': {'a': torch.ones(2), 'p': torch.nn.Parameter(torch.zeros(1))}, 'latent_avg': base[2:], 'steps': 7}
    for name, value in (('state', state), ('small', small)):
        write('pytorch_zip', name, torch_bytes(value))
        write('pytorch_zip', name + '_deflated', deflated(torch_bytes(value)))
        write('pytorch_legacy', name, torch_bytes(value, _use_new_zipfile_serialization=False))
    write('pytorch_legacy', 'protocol4', torch_bytes(small, _use_new_zipfile_serialization=False, pickle_protocol=4))

    values = {'a': np.arange(4, dtype='<f4').reshape(2, 2), 'b': np.arange(3, dtype='>i2'), 'c': np.float64(0.5), 'f': np.ones((2, 2), order='F')}
    plain = [None, True, 1, 300, -1, 1 << 40, 1 << 70, 1.5, 'text', b'bytes', (1,), [2], {3}, {'k': 'v'}, 'grüße\n', bytearray(b'x')]
    for protocol in range(6):
        write('pickle', f'numpy{protocol}', pickle.dumps(values, protocol))
        write('pickle', f'plain{protocol}', pickle.dumps(plain, protocol))
    rename(_reconstruct_persistent_obj, 'torch_utils.persistence')
    rename(Network, 'dnnlib.tflib.network')
    modules = Wrapped('G', {'training': False, '_parameters': {'w': torch.nn.Parameter(torch.ones(2))}, '_buffers': {'b': torch.ones(1)},
                            '_modules': {'inner': Wrapped('Layer', {'_parameters': {'bias': None}, '_modules': {}, '_buffers': {}})}})
    write('pickle', 'ada', pickle.dumps({'G_ema': modules, 'training_set_kwargs': {'x': None}}))
    inner = {'synthesis': Network('G_synthesis', [('4x4/Const/const', np.ones((1, 1, 2, 2), np.float32))], {})}
    networks = tuple(Network(n, [('lod', np.float32(0))], inner) for n in ('G', 'D', 'Gs'))
    write('pickle', 'tensorflow', pickle.dumps(networks, 3))

    for name, value in values.items():
        out = io.BytesIO()
        np.save(out, value)
        write('npy', name, out.getvalue())
    out = io.BytesIO()
    np.save(out, np.array({'a': values['a']}, dtype=object), allow_pickle=True)
    write('npy', 'objects', out.getvalue())
    for name, save in (('stored', np.savez), ('deflated', np.savez_compressed)):
        out = io.BytesIO()
        save(out, **values)
        write('npz', name, out.getvalue())

    weight = helper.make_tensor('w', TensorProto.FLOAT, [1, 1, 1, 1], [1.0])
    raw = helper.make_tensor('r', TensorProto.FLOAT16, [2], np.ones(2, np.float16).tobytes(), raw=True)
    constant = helper.make_node('Constant', [], ['b'], value=helper.make_tensor('c', TensorProto.FLOAT, [1], [0.5]))
    conv = helper.make_node('Conv', ['x', 'w', 'b'], ['y'], kernel_shape=[1, 1], group=1, pads=[0, 0, 0, 0])
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, 2, 2]) for n in 'xy']
    model = helper.make_model(helper.make_graph([constant, conv], 'g', ends[:1], ends[1:], [weight, raw]))
    write('onnx', 'conv', model.SerializeToString())
    kinds = [helper.make_tensor(str(t), t, [2], [1, 0]) for t in (TensorProto.INT64, TensorProto.BOOL, TensorProto.BFLOAT16, TensorProto.DOUBLE)]
    write('onnx', 'types', helper.make_model(helper.make_graph([], 'g', [], [], kinds)).SerializeToString())

    arrays = {'a': np.ones((2, 2), np.float32), 'b': np.zeros(3, np.int64), 'empty': np.zeros((0, 4), np.float16)}
    write('safetensors', 'three', safetensors.numpy.save(arrays, {'k': 'v'}))
    write('safetensors', 'none', safetensors.numpy.save({}))


if __name__ == '__main__':
    main()
