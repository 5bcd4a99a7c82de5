"""Finds and loads libgan2shape, and declares its functions as include/gan2shape/gan2shape.h does."""
from __future__ import annotations

import ctypes
import functools
import os
from ctypes import POINTER, c_char_p, c_double, c_int, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from typing import Any

from .errors import error_of

FILE = 'libgan2shape.so.0'
MAX_RANK = 6
CPU, CUDA = 0, 1
F32, F64, BF16, F16, I32, U8 = range(6)


class Array(ctypes.Structure):
    """g2s_array"""

    _fields_ = [('data', c_void_p), ('rank', c_int32), ('dtype', c_int32), ('device_type', c_int32), ('device_index', c_int32),
                ('shape', c_int64 * MAX_RANK), ('strides', c_int64 * MAX_RANK)]


class ProgressStruct(ctypes.Structure):
    """g2s_progress"""

    _fields_ = [('struct_size', c_uint32), ('has_loss', c_int32), ('stage', c_char_p), ('step', c_int64), ('steps', c_int64), ('loss', c_double),
                ('seconds', c_double), ('seconds_left', c_double)]


LogCallback = ctypes.CFUNCTYPE(None, c_void_p, c_char_p)
ProgressCallback = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(ProgressStruct))


class ContextOptions(ctypes.Structure):
    """g2s_context_options"""

    _fields_ = [('struct_size', c_uint32), ('threads', c_int32), ('device', c_char_p), ('stream', c_void_p), ('precision', c_char_p),
                ('memory_limit', c_uint64), ('assets', c_char_p), ('log', LogCallback), ('progress', ProgressCallback), ('user', c_void_p)]


class GeneratorInfo(ctypes.Structure):
    """g2s_generator_info"""

    _fields_ = [('struct_size', c_uint32), ('size', c_int32), ('latent', c_int32), ('latents', c_int32)]


_ARRAY, _OUT = POINTER(Array), POINTER(c_void_p)
_ARGUMENTS = {
    'tensor_view': [c_void_p, _ARRAY], 'tensor_free': [c_void_p], 'text_free': [c_void_p],
    'context_new': [POINTER(ContextOptions), _OUT], 'context_free': [c_void_p], 'context_cancel': [c_void_p], 'context_resume': [c_void_p],
    'context_describe': [c_void_p, _OUT],
    'picture_read': [c_char_p, _OUT], 'picture_write': [c_char_p, _ARRAY],
    'generator_load': [c_void_p, c_char_p, _OUT], 'generator_free': [c_void_p], 'generator_get_info': [c_void_p, POINTER(GeneratorInfo)],
    'generator_mapping': [c_void_p, _ARRAY, _ARRAY], 'generator_mean_latent': [c_void_p, c_uint64, c_int64, _ARRAY],
    'generator_picture': [c_void_p, _ARRAY, _ARRAY], 'generator_vjp': [c_void_p, _ARRAY, _ARRAY, _ARRAY, _ARRAY],
    'lpips_load': [c_void_p, c_char_p, _OUT], 'lpips_free': [c_void_p], 'lpips_distance': [c_void_p, _ARRAY, _ARRAY, _ARRAY],
    'lpips_gradient': [c_void_p, _ARRAY, _ARRAY, _ARRAY, _ARRAY, _ARRAY],
    'masker_load': [c_void_p, c_char_p, _OUT], 'masker_free': [c_void_p], 'masker_find': [c_void_p, _ARRAY, _ARRAY],
    'faces_load': [c_void_p, c_char_p, _OUT], 'faces_free': [c_void_p], 'faces_find': [c_void_p, _ARRAY, _OUT],
    'faces_align': [c_void_p, _ARRAY, _ARRAY, _ARRAY],
    'fit_new': [c_void_p, _ARRAY, _ARRAY, c_char_p, _OUT], 'fit_free': [c_void_p], 'fit_step': [c_void_p, c_int64, POINTER(c_int32)],
    'fit_get_progress': [c_void_p, POINTER(ProgressStruct)], 'fit_save': [c_void_p, c_char_p], 'fit_resume': [c_void_p, c_char_p],
    'fit_get': [c_void_p, c_char_p, _OUT], 'fit_names': [c_void_p, _OUT], 'fit_describe': [c_void_p, _OUT], 'fit_export': [c_void_p, c_char_p],
}  # fmt: skip
_TEXTS = {'version': [], 'last_error': [], 'text_get': [c_void_p]}


def _load() -> ctypes.CDLL:
    beside, named = os.path.join(os.path.dirname(os.path.abspath(__file__)), FILE), os.environ.get('GAN2SHAPE_LIBRARY')
    path = beside if os.path.exists(beside) else named or FILE
    try:
        return ctypes.CDLL(path)
    except OSError as e:
        raise ImportError(f'{path}: {e}; install the wheel, or set GAN2SHAPE_LIBRARY to the file of the library') from e


@functools.lru_cache(maxsize=None)
def library() -> ctypes.CDLL:
    """The library, loaded when it is first needed: beside this file, else as $GAN2SHAPE_LIBRARY says, else the system's."""
    loaded = _load()
    for name, arguments in _ARGUMENTS.items():
        getattr(loaded, 'g2s_' + name).argtypes = arguments
    for name, arguments in _TEXTS.items():
        function = getattr(loaded, 'g2s_' + name)
        function.argtypes, function.restype = arguments, c_char_p
    return loaded


def last_error() -> str:
    """What the last failed call of this thread had to say."""
    return library().g2s_last_error().decode('utf-8', 'replace')


def check(status: int) -> None:
    """Raises what a failed call of this thread said."""
    if status:
        raise error_of(status, last_error())


class Owned:
    """A handle of the library, freed with this object. `reference` is where a call puts it."""

    def __init__(self, kind: str):
        self.handle = c_void_p()
        self.reference = ctypes.byref(self.handle)
        self._free = getattr(library(), f'g2s_{kind}_free')
        self._getpid, self._process = os.getpid, os.getpid()

    def free(self) -> None:
        """Gives it back now. A process that was forked leaves what its parent's threads may hold."""
        handle, self.handle = self.handle, c_void_p()
        if handle and self._process == self._getpid():
            self._free(handle)

    def __del__(self) -> None:
        if hasattr(self, '_process'):
            self.free()


def text_of(function: str, *arguments: Any) -> str:
    """The text that a quick call gives."""
    text = Owned('text')
    check(getattr(library(), function)(*arguments, text.reference))
    return library().g2s_text_get(text.handle).decode('utf-8')


def path_of(path: Any) -> bytes:
    """A path of the caller's, str or os.PathLike, as the library reads it."""
    return os.fsencode(path)
