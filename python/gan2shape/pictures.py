"""Pictures in files, and as PNG in memory."""
from __future__ import annotations

import os
import struct
import zlib
from typing import Any

import numpy as np

from ._arrays import reading, taken
from ._library import Owned, check, library, path_of


def read_picture(path: Any) -> np.ndarray:
    """A PNG, JPEG, BMP, GIF (its first frame) or PNM file, upright: uint8 [H,W,3], or [H,W,4] with its transparency."""
    tensor = Owned('tensor')
    check(library().g2s_picture_read(path_of(path), tensor.reference))
    return taken(tensor)


def write_picture(path: Any, picture: Any) -> None:
    """As PNG. picture: uint8, or numbers in [-1,1]; [H,W,C] or [1,H,W,C] with 1, 3 or 4 channels."""
    check(library().g2s_picture_write(path_of(path), reading(picture, 'picture').pointer))


def picture_of(picture: Any) -> Any:
    """A picture that is given as an array or as the path of a file."""
    return read_picture(picture) if isinstance(picture, (str, os.PathLike)) else picture


def png(picture: np.ndarray) -> bytes:
    """The bytes of a PNG of a uint8 [H,W,3]."""
    height, width, _ = picture.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = picture.reshape(height, -1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(rows.tobytes())) + chunk(b'IEND', b'')
