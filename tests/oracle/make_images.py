"""Writes tests/images: small pictures in several formats, and what Pillow makes of some resizes (resize.json)."""
import hashlib
import json
import pathlib

import numpy as np
from PIL import Image

OUT = pathlib.Path(__file__).resolve().parent.parent / 'images'
MASK = (1 << 64) - 1


def u(name, n):
    """Hashed numbers as in engine/hashed_tensor.h."""
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001B3) & MASK
    with np.errstate(over='ignore'):
        x = np.arange(n, dtype=np.uint64) + np.uint64(h) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) * 2.0 ** -53 * 2 - 1


def quadrants():
    a = np.zeros((16, 24, 3), 'u1')
    a[:8, :12], a[:8, 12:], a[8:, :12], a[8:, 12:] = (200, 40, 40), (40, 200, 40), (40, 40, 200), (220, 220, 60)
    return a


def pictures():
    a = quadrants()
    im = Image.fromarray(a)
    jpeg = dict(quality=95, subsampling=0)
    for name in ('rgb.png', 'rgb.bmp', 'rgb.ppm', 'rgb.gif'):
        im.save(OUT / name)
    im.save(OUT / 'rgb.jpg', **jpeg)
    im.save(OUT / 'progressive.jpg', progressive=True, **jpeg)
    im.convert('L').save(OUT / 'grey.jpg', **jpeg)
    im.quantize(4).save(OUT / 'palette.png')
    for name in ('exif3.jpg', 'exif6.jpg', 'exif8.jpg', 'exif5.jpg', 'exif2.png', 'exif7.png', 'exif4.png'):
        exif = Image.Exif()
        exif[0x112] = int(name[4])
        im.save(OUT / name, exif=exif, **(jpeg if name.endswith('jpg') else {}))
    alpha = np.full((16, 24, 1), 255, 'u1')
    alpha[:, :6], alpha[:, 6:8] = 0, 128
    Image.fromarray(np.concatenate([a, alpha], 2)).save(OUT / 'rgba.png')
    Image.fromarray((np.arange(16 * 24).reshape(16, 24) * 170).astype('u2')).save(OUT / 'grey16.png')


def resizes():
    cases = []
    for h, w, c, to_h, to_w in ((64, 64, 3, 64, 64), (170, 170, 3, 128, 128), (128, 128, 3, 64, 64), (65, 65, 1, 31, 31), (33, 33, 3, 97, 97),
                                (7, 5, 3, 1, 1), (1, 1, 1, 3, 3), (50, 101, 3, 64, 64), (101, 50, 3, 64, 64), (256, 256, 3, 3, 3)):
        pixels = ((u(f'resize/{h}x{w}x{c}', h * w * c) + 1) / 2 > 0.5).astype('u1') * 255  # black and white: the filter at its sharpest
        im = Image.fromarray(pixels.reshape(h, w, c).squeeze(2) if c == 1 else pixels.reshape(h, w, c))
        for name, kind in (('bilinear', Image.BILINEAR), ('box', Image.BOX)):
            out = np.asarray(im.resize((to_w, h), kind).resize((to_w, to_h), kind))  # rows first, as Pillow did up to 12
            cases.append({'from': [h, w, c], 'to': [to_h, to_w], 'filter': name, 'sha256': hashlib.sha256(out.tobytes()).hexdigest()})
    (OUT / 'resize.json').write_text(json.dumps(cases, indent=1) + '\n')


if __name__ == '__main__':
    OUT.mkdir(exist_ok=True)
    pictures()
    resizes()
