"""The mask of what stands out in a picture (U-2-Net-p)."""
from __future__ import annotations

from typing import Any, Optional

import numpy as np

from ._arrays import View, reading, writing
from .context import Context, default_context
from .pictures import picture_of


class Masker:
    """Finds objects. path: a .safetensors file of `gan2shape convert`; None: the weights that are shipped."""

    def __init__(self, path: Any = None, *, context: Optional[Context] = None):
        self.context = context or default_context()
        self._owned = self.context._load('masker', path, keep=self)

    def __repr__(self) -> str:
        return '<gan2shape.Masker>'

    def __call__(self, picture: Any) -> np.ndarray:
        """As find()."""
        return self.find(picture)

    def find(self, picture: Any) -> np.ndarray:
        """A picture [H,W,3], uint8 or in [-1,1], or the path of a file -> bool [H,W], true on what stands out."""
        view: View = reading(picture_of(picture), 'picture', self.context.stream)
        if len(view.shape) != 3:
            raise ValueError(f'picture {list(view.shape)}: not [H,W,3]')
        mask = np.empty(view.shape[:2], np.uint8)
        out = writing(mask, 'mask')
        self.context._run('g2s_masker_find', self._owned.handle, view.pointer, out.pointer, keep=(self, view, out))
        return mask > 0
