"""A reconstruction as work that may be done in pieces, saved and resumed."""
from __future__ import annotations

import ctypes
import json
from typing import Any, Dict, List, Optional

import numpy as np

from ._arrays import reading, taken
from ._library import Owned, ProgressStruct, check, library, path_of, text_of
from .context import Context, LogFunction, Progress, ProgressFunction, _warn, default_context, progress_from
from .pictures import picture_of


class Fit:
    """A fit of one picture. reconstruct() makes one and runs it to its end.

    picture: an array, uint8 or in [-1,1], [H,W,3] or with its transparency [H,W,4], or the path of a file.
    mask: [H,W], the object where it is not 0; None: transparency says it, else it is found.
    preset, quality, crop, align, face, size, views, seed, scale: as of the program; weights: a folder with a generator and discriminator of your own.
    latent: of the picture, [latent] or [latents,latent]; None: it is looked for.
    force: export() may replace the result of another fit.
    log, progress: go before those of the context.
    """

    def __init__(self, picture: Any, mask: Any = None, *, preset: str = 'default', quality: str = 'standard', crop: str = 'auto', seed: int = 0,
                 align: str = 'auto', face: Any = 'largest', size: int = 0, views: str = '', scale: float = 1.0, weights: Any = None, latent: Any = None,
                 force: bool = False, context: Optional[Context] = None, log: Optional[LogFunction] = None,
                 progress: Optional[ProgressFunction] = None):
        self.context, self.log, self.on_progress = context or default_context(), log, progress
        self.notes: List[str] = []  #: sentences of the library so far
        options: Dict[str, Any] = {'preset': preset, 'quality': quality, 'crop': crop, 'align': align, 'face': str(face), 'size': size, 'views': views,
                                   'seed': seed, 'scale': scale, 'force': force}
        if weights is not None:
            options['weights'] = path_of(weights).decode()
        if latent is not None:
            options['latent'] = np.asarray(latent, np.float64).tolist()
        views = reading(picture_of(picture), 'picture'), None if mask is None else reading(picture_of(mask), 'mask')
        self._owned = Owned('fit')
        self._call('new', self.context._owned.handle, views[0].pointer, views[1] and views[1].pointer, json.dumps(options).encode(),
                   self._owned.reference, keep=views)

    def step(self, iterations: int = -1) -> bool:
        """Runs up to so many more iterations, all that are left if negative. True: the fit is finished.

        The bits do not depend on how the work is cut. After Ctrl-C it goes on with the next step().
        """
        done = ctypes.c_int32()
        self._call('step', self._owned.handle, iterations, ctypes.byref(done), keep=done)
        return bool(done.value)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        p = ProgressStruct(ctypes.sizeof(ProgressStruct))
        check(library().g2s_fit_get_progress(self._owned.handle, ctypes.byref(p)))
        return progress_from(p)

    def save(self, path: Any) -> None:
        """The whole state as a file, for resume()."""
        self._call('save', self._owned.handle, path_of(path))

    def resume(self, path: Any) -> None:
        """Goes on from a file of save(), of the same picture, options and weights, to the same bits."""
        self._call('resume', self._owned.handle, path_of(path))

    def export(self, folder: Any) -> None:
        """Of a finished fit: everything as a folder, as `gan2shape reconstruct` writes it.

        In the place of an earlier result of this fit. Another one there is an error that names what differs, unless the fit has force=True.
        """
        self._call('export', self._owned.handle, path_of(folder))

    @property
    def names(self) -> List[str]:
        """All that get() takes."""
        return json.loads(text_of('g2s_fit_names', self._owned.handle))

    def get(self, name: str) -> np.ndarray:
        """Of a finished fit: a result by its name. include/gan2shape/gan2shape.h lists them, at g2s_fit_get()."""
        tensor = Owned('tensor')
        self._call('get', self._owned.handle, name.encode(), tensor.reference, keep=tensor)
        return taken(tensor)

    def describe(self) -> Dict[str, Any]:
        """What result.json says: losses, phases, notes, the camera, the settings."""
        return json.loads(text_of('g2s_fit_describe', self._owned.handle))

    def _note(self, sentence: str) -> None:
        self.notes.append(sentence)
        (self.log or self.context.log or _warn)(sentence)

    def _call(self, name: str, *arguments: Any, keep: Any = None) -> None:
        self.context._run('g2s_fit_' + name, *arguments, keep=(self._owned, keep), log=self._note, progress=self.on_progress)
