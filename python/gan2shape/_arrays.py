"""Arrays of the caller's as the library sees them (g2s_array), and back. Nothing is copied that the library can read where it lies."""
from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_uint8, c_uint16, c_uint64, c_void_p, py_object
from typing import Any, Optional, Sequence, Tuple

import numpy as np

from ._library import BF16, CPU, CUDA, F16, F32, F64, I32, MAX_RANK, U8, Array, Owned, check, library

_DTYPES = {'float32': F32, 'float64': F64, 'bfloat16': BF16, 'float16': F16, 'int32': I32, 'uint8': U8}
_NUMPY = {F32: np.float32, F64: np.float64, F16: np.float16, I32: np.int32, U8: np.uint8}


class View:
    """A g2s_array, and what keeps its memory alive."""

    def __init__(self, array: Array, keeps: Any):
        self.array, self.keeps = array, keeps
        self.shape: Tuple[int, ...] = tuple(array.shape[: array.rank])
        self.pointer = ctypes.byref(array)

    def with_batch(self, rank: int) -> 'View':
        """With a first axis of 1 if it has one axis less than `rank`."""
        a = self.array
        if a.rank != rank - 1:
            return self
        shape, strides = (1, *self.shape), (0, *a.strides[: a.rank])
        return View(_array(a.data, a.dtype, shape, strides, a.device_type, a.device_index), self.keeps)


def _array(data: Optional[int], dtype: int, shape: Sequence[int], strides: Sequence[int], device_type: int = CPU, device_index: int = 0) -> Array:
    array = Array(data, len(shape), dtype, device_type, device_index)
    array.shape[: len(shape)], array.strides[: len(shape)] = shape, strides
    return array


def _check_rank(rank: int, name: str) -> None:
    if rank > MAX_RANK:
        raise ValueError(f'{name}: has {rank} axes, more than {MAX_RANK}')


def _of_numpy(value: np.ndarray, name: str) -> View:
    if value.dtype == np.bool_:
        value = value.view(np.uint8)
    dtype = _DTYPES.get(value.dtype.name)
    if dtype is None:
        raise TypeError(f'{name}: its elements are {value.dtype.name}, not one of {", ".join(_DTYPES)} or bool')
    _check_rank(value.ndim, name)
    if not value.dtype.isnative or not value.flags.aligned or any(s % value.itemsize for s in value.strides):
        value = np.array(value, value.dtype.newbyteorder('='), order='C')
    return View(_array(value.ctypes.data, dtype, value.shape, [s // value.itemsize for s in value.strides]), value)


# ---- DLPack (dlpack.h before 1.0) ----


class _DLTensor(ctypes.Structure):
    _fields_ = [('data', c_void_p), ('device_type', c_int32), ('device_id', c_int32), ('ndim', c_int32), ('code', c_uint8), ('bits', c_uint8),
                ('lanes', c_uint16), ('shape', POINTER(c_int64)), ('strides', POINTER(c_int64)), ('byte_offset', c_uint64)]


_DLPACK_DTYPES = {(2, 32): F32, (2, 64): F64, (4, 16): BF16, (2, 16): F16, (0, 32): I32, (1, 8): U8, (6, 8): U8}
_DLPACK_DEVICES = {1: CPU, 2: CUDA, 3: CPU, 13: CUDA}  # 3: the host's memory, pinned; 13: managed by CUDA
_capsule_pointer = ctypes.PYFUNCTYPE(c_void_p, py_object, c_char_p)(('PyCapsule_GetPointer', ctypes.pythonapi))


def _of_dlpack(value: Any, name: str, stream: Optional[int]) -> View:
    # A capsule whose tensor nobody took over gives it back itself.
    on_device = _DLPACK_DEVICES.get(int(value.__dlpack_device__()[0])) == CUDA
    capsule = value.__dlpack__(stream=stream) if on_device and stream is not None else value.__dlpack__()
    t = _DLTensor.from_address(_capsule_pointer(capsule, b'dltensor'))
    dtype, device = _DLPACK_DTYPES.get((t.code, t.bits)), _DLPACK_DEVICES.get(t.device_type)
    if dtype is None or t.lanes != 1:
        raise TypeError(f'{name}: its elements are not of one of {", ".join(_DTYPES)} or bool')
    if device is None:
        raise TypeError(f'{name}: is neither in the memory of the CPU nor of a CUDA device (DLPack device {t.device_type})')
    _check_rank(t.ndim, name)
    shape = [t.shape[i] for i in range(t.ndim)]
    if t.strides:
        strides = [t.strides[i] for i in range(t.ndim)]
    else:
        strides = [int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(t.ndim)]
    return View(_array((t.data or 0) + t.byte_offset, dtype, shape, strides, device, t.device_id if device == CUDA else 0), (value, capsule))


# ---- what the other files use ----


def reading(value: Any, name: str, stream: Optional[int] = None) -> View:
    """Of a numpy array, anything with __dlpack__, anything that numpy.asarray() takes. `stream`: on which a CUDA device is to read it."""
    if isinstance(value, np.ndarray):
        return _of_numpy(value, name)
    if hasattr(value, '__dlpack__'):
        return _of_dlpack(value, name, stream)
    array = np.asarray(value)
    if isinstance(value, (list, tuple, int, float)) and array.dtype.kind in 'iuf':
        array = array.astype(np.float32)
    return _of_numpy(array, name)


def writing(out: Any, name: str, stream: Optional[int] = None) -> View:
    """Of an array that the library is to write."""
    if isinstance(out, np.ndarray):
        view = _of_numpy(out, name)
        if not out.flags.writeable or view.array.data != out.ctypes.data:
            raise ValueError(f'{name}: cannot be written to as it is: it is read-only, unaligned or of foreign byte order')
        return view
    if hasattr(out, '__dlpack__'):
        return _of_dlpack(out, name, stream)
    raise TypeError(f'{name}: {type(out).__name__} is neither a numpy array nor has __dlpack__')


def result_or(out: Any, shape: Sequence[int], name: str = 'out', dtype: Any = np.float32, stream: Optional[int] = None) -> Tuple[Any, View]:
    """`out`, or else a new array of this shape, and its view."""
    if out is None:
        out = np.empty(shape, dtype)
    return out, writing(out, name, stream)


def taken(tensor: Owned) -> np.ndarray:
    """The elements of a tensor of the library's as an array of the caller's own. The tensor is freed."""
    view = Array()
    check(library().g2s_tensor_view(tensor.handle, ctypes.byref(view)))
    out = np.empty(tuple(view.shape[: view.rank]), _NUMPY[view.dtype])
    if out.nbytes:
        ctypes.memmove(out.ctypes.data, view.data, out.nbytes)
    tensor.free()
    return out
