"""Generators, StyleGAN2 and MobileStyleGAN: pictures from latents, and their gradient."""
from __future__ import annotations

import ctypes
from typing import Any, Optional

import numpy as np

from ._arrays import reading, result_or
from ._library import GeneratorInfo, check, library
from .context import Context, default_context


class Generator:
    """Draws pictures from latents.

    path: a .safetensors file of `gan2shape convert`, StyleGAN2 or MobileStyleGAN; None: the generator that is shipped, of heads at 64 pixels.

    Latents are arrays [B,latent], or [B,latents,latent] with one for each layer (W+). A single w [latent] gives a single picture.
    Arrays may be numpy's or anything with __dlpack__. `out` and the like take an array that is written to, instead of a new numpy array.
    """

    size: int  #: pictures are [B,size,size,3], in [-1,1]
    latent: int  #: the length of z and w
    latents: int  #: how many w a picture takes, in W+

    def __init__(self, path: Any = None, *, context: Optional[Context] = None):
        self.context = context or default_context()
        self._owned = self.context._load('generator', path, keep=self)
        info = GeneratorInfo(ctypes.sizeof(GeneratorInfo))
        check(library().g2s_generator_get_info(self._owned.handle, ctypes.byref(info)))
        self.size, self.latent, self.latents = info.size, info.latent, info.latents

    def __repr__(self) -> str:
        return f'<gan2shape.Generator of {self.size}x{self.size} pictures, latents [{self.latents},{self.latent}]>'

    def __call__(self, w: Any, *, out: Any = None) -> Any:
        """As picture()."""
        return self.picture(w, out=out)

    def mapping(self, z: Any, *, out: Any = None) -> Any:
        """z [B,latent], normally distributed -> w [B,latent]."""
        single, z = self._latents(z, 'z')
        out, w = result_or(out, z.shape[1:] if single else z.shape, stream=self.context.stream)
        w = w.with_batch(2)
        self._call('mapping', z, w)
        return out

    def mean_latent(self, seed: int = 0, samples: int = 4096, *, out: Any = None) -> Any:
        """The mean of w over random z: [latent]."""
        out, w = result_or(out, (self.latent,), stream=self.context.stream)
        self.context._run('g2s_generator_mean_latent', self._owned.handle, seed, samples, w.pointer, keep=(self, w))
        return out

    def picture(self, w: Any, *, out: Any = None) -> Any:
        """w [B,latent] or [B,latents,latent] -> pictures [B,size,size,3] in [-1,1], not clamped but in an `out` of uint8."""
        single, w = self._latents(w, 'w')
        out, picture = result_or(out, self._picture_shape(single, w), stream=self.context.stream)
        self._call('picture', w, picture.with_batch(4))
        return out

    def vjp(self, w: Any, dpicture: Any, *, out: Any = None, picture: Any = None) -> Any:
        """The vector-Jacobian product: the gradient by w of sum(dpicture * picture(w)), of the shape of w.

        `picture`, if given, is written to: the picture comes with it.
        """
        stream = self.context.stream
        single, w = self._latents(w, 'w')
        dpicture = reading(dpicture, 'dpicture', stream).with_batch(4)
        if picture is not None:
            picture = result_or(picture, (), 'picture', stream=stream)[1].with_batch(4)
        out, dw = result_or(out, w.shape[1:] if single else w.shape, stream=stream)
        self._call('vjp', w, dpicture, picture, dw.with_batch(len(w.shape)))
        return out

    def _latents(self, value: Any, name: str) -> Any:
        view = reading(value, name, self.context.stream)
        return len(view.shape) == 1, view.with_batch(2)

    def _picture_shape(self, single: bool, w: Any) -> Any:
        shape = (self.size, self.size, 3)
        return shape if single else (w.shape[0], *shape)

    def _call(self, name: str, *views: Any) -> None:
        pointers = [None if v is None else v.pointer for v in views]
        self.context._run('g2s_generator_' + name, self._owned.handle, *pointers, keep=(self, views))
