"""Pictures of every format that is read, and what Pillow reads of them. See tests/images.test.cpp.

python3 make_formats.py     needs Pillow 12 with AVIF, pillow-heif, numpy; writes formats.zip: NAME.EXT beside NAME.EXT.rgba, which is the
upright picture's height and width (two 32-bit numbers) and its pixels. What Pillow cannot write or read in full depth is written here.
"""
import io
import os
import struct
import zipfile
import zlib

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageOps

pillow_heif.register_heif_opener()
HERE = os.path.dirname(os.path.abspath(__file__))
H, W = 18, 26
SRGB = ImageCms.createProfile('sRGB')
FILES = {}


def pattern(h=H, w=W):
    y, x = np.mgrid[0:h, 0:w]
    return np.stack([x * 255 // (w - 1), y * 255 // (h - 1), (x * 7 + y * 11) % 256], -1).astype(np.uint8)


RGB = pattern()
ALPHA = ((np.mgrid[0:H, 0:W][0] * 37 + np.mgrid[0:H, 0:W][1] * 5) % 256).astype(np.uint8)
RGBA = np.dstack([RGB, ALPHA])


def rgba_of(im, content=b''):
    profile = im.info.get('icc_profile')
    im = ImageOps.exif_transpose(im)
    if profile:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        if 'sRGB' not in name:
            im = ImageCms.profileToProfile(im, ImageCms.ImageCmsProfile(io.BytesIO(profile)), SRGB, outputMode='RGB')
    return np.array(im.convert('RGBA'))


def keep(name, content, expected=None):
    if expected is None:
        expected = rgba_of(Image.open(io.BytesIO(content)))
    if expected.ndim == 2:
        expected = np.dstack([expected] * 3)
    if expected.shape[2] == 3:
        expected = np.dstack([expected, np.full(expected.shape[:2], 255, np.uint8)])
    FILES[name] = content
    FILES[name + '.rgba'] = struct.pack('<II', *expected.shape[:2]) + expected.astype(np.uint8).tobytes()


def saved(im, format, **options):
    out = io.BytesIO()
    im.save(out, format, **options)
    return out.getvalue()


# ---- PNG by hand: every depth and way of being transparent

def chunk(name, body):
    return struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))


def packed(rows, depth):
    """Values [h, n] of `depth` bits, a filter byte before each row."""
    out = b''
    for row in rows:
        if depth == 16:
            body = row.astype('>u2').tobytes()
        else:
            bits = ''.join(format(int(v), f'0{depth}b') for v in row)
            bits += '0' * (-len(bits) % 8)
            body = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
        out += b'\0' + body
    return out


def png(values, depth, colour, extra=b''):
    h, w = values.shape[:2]
    head = struct.pack('>IIBBBBB', w, h, depth, colour, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + extra + chunk(b'IDAT', zlib.compress(packed(values.reshape(h, -1), depth))) + chunk(b'IEND', b''))


def eight(values, depth):
    top = (1 << depth) - 1
    return (values.astype(np.int64) * 255 + (32767 if depth == 16 else 0)) // top if depth == 16 else values.astype(np.int64) * 255 // top


def pngs():
    y, x = np.mgrid[0:H, 0:W]
    for depth in (1, 2, 4, 8, 16):
        top = (1 << depth) - 1
        grey = (x * 977 + y * 3571) % (top + 1)
        key = int(grey[3, 5])
        keep(f'grey{depth}.png', png(grey, depth, 0), eight(grey, depth))
        alpha = np.where(grey == key, 0, 255)
        keep(f'grey{depth}_key.png', png(grey, depth, 0, chunk(b'tRNS', struct.pack('>H', key))), np.dstack([eight(grey, depth)] * 3 + [alpha]))
    for depth in (8, 16):
        top = (1 << depth) - 1
        rgb = np.stack([(x // 4 * 9011) % (top + 1), (y // 4 * 3571) % (top + 1), (x // 4 + y // 4) * 771 % (top + 1)], -1)
        key = rgb[9, 13]
        alpha = np.where((rgb == key).all(-1), 0, 255)
        keep(f'rgb{depth}_key.png', png(rgb, depth, 2, chunk(b'tRNS', struct.pack('>HHH', *map(int, key)))), np.dstack([eight(rgb, depth), alpha]))
    for depth in (1, 2, 4, 8):
        n = 1 << depth
        palette = np.stack([np.arange(n) * 255 // (n - 1), np.arange(n)[::-1] * 255 // (n - 1), np.arange(n) * 37 % 256], -1).astype(np.uint8)
        index, some = (x + y * 3) % n, np.array([0, 128, 200][:n], np.uint8)
        alpha = np.full(n, 255, np.uint8)
        alpha[:len(some)] = some
        extra = chunk(b'PLTE', palette.tobytes()) + chunk(b'tRNS', some.tobytes())
        keep(f'palette{depth}_key.png', png(index, depth, 3, extra), np.dstack([palette[index], alpha[index]]))
    keep('rgba.png', png(RGBA.astype(int), 8, 6), RGBA)


def apple():
    """Apple's: the header of zlib is missing, blue comes first, colours are multiplied by their opacity."""
    alpha = np.maximum(ALPHA, 1).astype(int)
    times = (RGB.astype(int) * alpha[..., None] + 127) // 255
    stored = np.dstack([times[..., 2], times[..., 1], times[..., 0], alpha])
    squeeze = zlib.compressobj(wbits=-15)
    body = squeeze.compress(packed(stored.reshape(H, -1), 8)) + squeeze.flush()
    head = struct.pack('>IIBBBBB', W, H, 8, 6, 0, 0, 0)
    content = b'\x89PNG\r\n\x1a\n' + chunk(b'CgBI', b'\x50\0\x20\2') + chunk(b'IHDR', head) + chunk(b'IDAT', body) + chunk(b'IEND', b'')
    back = np.minimum(255, (times * 255 + alpha[..., None] // 2) // alpha[..., None])
    keep('apple.png', content, np.dstack([back, alpha]))


# ---- the others by Pillow


def jpegs():
    im = Image.fromarray(pattern(40, 56))
    for name, options in {'444': dict(subsampling=0), '420': dict(subsampling=2), 'progressive': dict(progressive=True)}.items():
        keep(f'{name}.jpg', saved(im, 'JPEG', quality=92, **options))
    whole = saved(im, 'JPEG', quality=92)
    keep('grey.jpg', saved(im.convert('L'), 'JPEG'))
    expected = rgba_of(Image.open(io.BytesIO(whole)))
    keep('no_end.jpg', whole[:-2], expected)
    keep('bytes_before_end.jpg', whole[:-2] + b'\0\1\2\3\4' + whole[-2:], expected)
    keep('bytes_after_end.jpg', whole + b'more', expected)
    inks = saved(im.convert('CMYK'), 'JPEG', quality=95)
    keep('cmyk.jpg', inks)
    at = inks.index(b'\xff\xee')
    keep('cmyk_without_marker.jpg', inks[:at] + inks[at + 16:])
    for i in range(2, 9):
        exif = Image.Exif()
        exif[274] = i
        keep(f'turned{i}.jpg', saved(im, 'JPEG', quality=92, exif=exif))


def webps():
    im, clear = Image.fromarray(RGB), Image.fromarray(RGBA)
    keep('lossy.webp', saved(im, 'WEBP', quality=80))
    keep('lossless.webp', saved(clear, 'WEBP', lossless=True, exact=True))
    keep('animated.webp', saved(im, 'WEBP', save_all=True, append_images=[Image.fromarray(255 - RGB)], lossless=True))
    exif = Image.Exif()
    exif[274] = 6
    keep('turned6.webp', saved(im, 'WEBP', lossless=True, exif=exif))


def tiffs():
    im, clear = Image.fromarray(RGB), Image.fromarray(RGBA)
    for how in ('raw', 'tiff_lzw', 'tiff_adobe_deflate', 'packbits'):
        keep(f'rgb_{how}.tiff', saved(im, 'TIFF', compression=how))
    keep('rgba.tiff', saved(clear, 'TIFF'))
    keep('grey.tiff', saved(im.convert('L'), 'TIFF'))
    keep('bits.tiff', saved(im.convert('1'), 'TIFF', compression='group4'))
    keep('palette.tiff', saved(im.quantize(16), 'TIFF'))
    keep('cmyk.tiff', saved(im.convert('CMYK'), 'TIFF'))
    keep('jpeg.tiff', saved(im, 'TIFF', compression='jpeg', quality=90))
    deep = (np.mgrid[0:H, 0:W][1] * 2621).astype(np.uint16)
    keep('grey16.tiff', saved(Image.fromarray(deep), 'TIFF'), eight(deep, 16))
    keep('turned6.tiff', saved(im, 'TIFF', tiffinfo={274: 6}))


def pnms():
    text = ' '.join(map(str, RGB.reshape(-1)))
    bits = (ALPHA > 127).astype(int)
    keep('1.pbm', f'P1\n# black is 1\n{W} {H}\n'.encode() + '\n'.join(''.join(map(str, r)) for r in bits).encode() + b'\n', 255 - 255 * bits)
    keep('4.pbm', saved(Image.fromarray(RGB).convert('1'), 'PPM'))
    keep('2.pgm', f'P2 {W} {H} 255\n'.encode() + ' '.join(map(str, ALPHA.reshape(-1))).encode() + b'\n', ALPHA)
    fifteen = ALPHA // 17
    keep('15.pgm', f'P5 {W} {H} 15\n'.encode() + fifteen.tobytes(), fifteen * 17)
    deep = (np.mgrid[0:H, 0:W][1] * 2621).astype(np.uint16)
    keep('16.pgm', f'P5\n{W} {H}\n65535\n'.encode() + deep.astype('>u2').tobytes(), eight(deep, 16))
    keep('3.ppm', f'P3\n{W}\n{H}\n255\n{text}\n'.encode(), RGB)
    keep('6.ppm', saved(Image.fromarray(RGB), 'PPM'))


def profiles():
    """Pictures in Adobe RGB (1998), as cameras write them; its profile is made here of its primaries."""
    def s15(v):
        return struct.pack('>i', round(v * 65536))
    xyz = {b'rXYZ': (0.60974, 0.31111, 0.01947), b'gXYZ': (0.20528, 0.62567, 0.06087), b'bXYZ': (0.14919, 0.06322, 0.74457), b'wtpt': (0.9642, 1, 0.8249)}
    tags = {name: b'XYZ \0\0\0\0' + b''.join(map(s15, v)) for name, v in xyz.items()}
    curve = b'curv\0\0\0\0' + struct.pack('>IH', 1, 563) + b'\0\0'  # 2.2
    title = b'Wide space\0'
    tags.update({b'rTRC': curve, b'gTRC': curve, b'bTRC': curve, b'cprt': b'text\0\0\0\0nobody\0\0',
                 b'desc': b'desc\0\0\0\0' + struct.pack('>I', len(title)) + title + b'\0' * 81})
    offset, table, data = 128 + 4 + 12 * len(tags), b'', b''
    for name, body in tags.items():
        body += b'\0' * (-len(body) % 4)
        table += name + struct.pack('>II', offset + len(data), len(body))
        data += body
    size = offset + len(data)
    head = struct.pack('>I4sI4s4s4s', size, b'lcms', 0x02100000, b'mntr', b'RGB ', b'XYZ ') + struct.pack('>6H', 2020, 1, 1, 0, 0, 0) + b'acsp'
    head += b'\0' * (68 - len(head)) + s15(0.9642) + s15(1) + s15(0.8249)
    profile = head.ljust(128, b'\0') + struct.pack('>I', len(tags)) + table + data
    im = Image.fromarray(RGB)
    for name, format in {'wide.png': 'PNG', 'wide.jpg': 'JPEG', 'wide.tiff': 'TIFF', 'wide.webp': 'WEBP'}.items():
        keep(name, saved(im, format, icc_profile=profile, **({'lossless': True} if format == 'WEBP' else {'quality': 95} if format == 'JPEG' else {})))
    srgb = ImageCms.ImageCmsProfile(SRGB).tobytes()
    keep('srgb.png', saved(im, 'PNG', icc_profile=srgb), RGB)


def main():
    pngs()
    apple()
    jpegs()
    webps()
    tiffs()
    pnms()
    profiles()
    smooth = Image.fromarray(pattern(64, 64))
    keep('phone.heic', saved(smooth, 'HEIF', quality=95))
    keep('clear.heic', saved(Image.fromarray(np.dstack([pattern(64, 64), pattern(64, 64)[..., 0]])), 'HEIF', quality=95))
    keep('phone.avif', saved(smooth, 'AVIF', quality=95, subsampling='4:4:4'))
    keep('rgb.bmp', saved(Image.fromarray(RGB), 'BMP'))
    keep('palette.gif', saved(Image.fromarray(RGB).quantize(32), 'GIF'))
    with zipfile.ZipFile(os.path.join(HERE, 'formats.zip'), 'w', zipfile.ZIP_DEFLATED) as out:
        for name, content in sorted(FILES.items()):
            out.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


if __name__ == '__main__':
    main()
