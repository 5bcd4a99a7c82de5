"""The perceptual distance LPIPS v0.1 (VGG16), and its gradient."""
from __future__ import annotations

from typing import Any, Optional, Tuple

import numpy as np

from ._arrays import View, reading, result_or
from .context import Context, default_context


class Lpips:
    """How different two pictures look: lpips.LPIPS(net='vgg') of the package lpips, on the same weights.

    path: a .safetensors file of `gan2shape convert`; None: the weights that are shipped.

    Pictures are [B,H,W,3] or [H,W,3] in [-1,1], or uint8, at least 16 by 16.
    Arrays may be numpy's or anything with __dlpack__. `out` and the like take an array that is written to, instead of a new numpy array.
    """

    def __init__(self, path: Any = None, *, context: Optional[Context] = None):
        self.context = context or default_context()
        self._owned = self.context._load('lpips', path, keep=self)

    def __repr__(self) -> str:
        return '<gan2shape.Lpips>'

    def __call__(self, a: Any, b: Any, *, out: Any = None) -> Any:
        """As distance()."""
        return self.distance(a, b, out=out)

    def distance(self, a: Any, b: Any, *, out: Any = None) -> Any:
        """The distance of each pair of pictures, [B]; of two pictures without a batch, []."""
        a, b = self._pictures(a, b)
        out, distance = result_or(out, a.shape[:-3], stream=self.context.stream)
        self._call('distance', a.with_batch(4), b.with_batch(4), distance.with_batch(1))
        return out

    def gradient(self, a: Any, b: Any, *, out: Any = None, distance: Any = None) -> Tuple[Any, Any]:
        """The distances, and the gradient of their sum by `a`, of its shape: in units of pictures in [-1,1], whatever a and b are."""
        a, b = self._pictures(a, b)
        distance, of_distance = result_or(distance, a.shape[:-3], 'distance', stream=self.context.stream)
        out, da = result_or(out, a.shape, stream=self.context.stream)
        self._call('gradient', a.with_batch(4), b.with_batch(4), of_distance.with_batch(1), da.with_batch(4), None)
        return distance, out

    def gradients(self, a: Any, b: Any) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The distances, and the gradients of their sum by `a` and by `b`."""
        a, b = self._pictures(a, b)
        distance, of_distance = result_or(None, a.shape[:-3])
        (da, of_a), (db, of_b) = result_or(None, a.shape), result_or(None, b.shape)
        self._call('gradient', a.with_batch(4), b.with_batch(4), of_distance.with_batch(1), of_a.with_batch(4), of_b.with_batch(4))
        return distance, da, db

    def _pictures(self, a: Any, b: Any) -> Tuple[View, View]:
        stream = self.context.stream
        a, b = reading(a, 'a', stream), reading(b, 'b', stream)
        if a.shape != b.shape or len(a.shape) not in (3, 4):
            raise ValueError(f'a {list(a.shape)}, b {list(b.shape)}: not two times [B,H,W,3] or [H,W,3]')
        return a, b

    def _call(self, name: str, *views: Optional[View]) -> None:
        pointers = [None if v is None else v.pointer for v in views]
        self.context._run('g2s_lpips_' + name, self._owned.handle, *pointers, keep=(self, views))
