"""From one picture to a 3D shape."""
from __future__ import annotations

import functools
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional

import numpy as np

from .context import Context, LogFunction, ProgressFunction
from .fit import Fit
from .pictures import png


class Mesh(NamedTuple):
    """The object without its background: y up, z to the viewer, the image one unit wide."""

    vertices: np.ndarray  #: [V,3]
    triangles: np.ndarray  #: int32 [F,3], places in `vertices`
    uvs: np.ndarray  #: [V,2], (0,0) is the top left of the texture
    normals: np.ndarray  #: [V,3]
    texture: np.ndarray  #: uint8 [T,T,3]


class Pictures(Mapping[str, np.ndarray]):
    """Pictures of a reconstruction by their names. Each is drawn when it is first asked for."""

    def __init__(self, fit: Fit, folder: str):
        self._fit, self._folder = fit, folder
        self._names = [n[len(folder) :] for n in fit.names if n.startswith(folder)]
        self._drawn: Dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._drawn:
            self._drawn[name] = self._fit.get(self._folder + name)
        return self._drawn[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f'<{len(self)} pictures: {", ".join(self._names)}>'


def _result(name: str, what: str) -> Any:
    """A property: the result of this name, fetched once."""

    def fetch(self: 'Reconstruction') -> np.ndarray:
        return self._fit.get(name)

    fetch.__doc__ = what
    return functools.cached_property(fetch)


class Reconstruction:
    """What reconstruct() found. Arrays are float32, and pictures in [-1,1], where nothing else is said. S is the size the fit works at.

    In a notebook it shows itself: everything at a glance.
    """

    input: np.ndarray = _result('input', 'What was fitted, [S,S,3].')
    mask: np.ndarray = _result('mask', 'The object in it, [S,S].')
    depth: np.ndarray = _result('depth', 'Depth of the input view in the camera\'s units, [S,S]; 0 where the mesh is not seen.')
    normals: np.ndarray = _result('normal', 'Unit vectors, seen from the front, [S,S,3]: x right, y down, z away from the camera.')
    albedo: np.ndarray = _result('albedo', 'Colours without light, seen from the front, [S,S,3].')
    canonical_depth: np.ndarray = _result('canonical_depth', 'Depth seen from the front, [S,S].')
    canonical_mask: np.ndarray = _result('canonical_mask', 'The object seen from the front, [S,S].')
    texture: np.ndarray = _result('texture', 'Albedo in the input\'s light, seen from the front, [S,S,3].')
    reconstruction: np.ndarray = _result('reconstruction', 'The input as the shape explains it, [S,S,3].')
    view: np.ndarray = _result('view', 'Rotation in radians (pitch, yaw, roll) and translation of the input, [6].')
    light: np.ndarray = _result('light', 'Light of the input as the networks know it, [4].')
    latent: np.ndarray = _result('latent', 'Of the generator\'s picture that was fitted, [1,D] or [1,L,D].')
    projection: np.ndarray = _result('projection', 'That picture, [S,S,3].')
    overview: np.ndarray = _result('overview', 'Everything at a glance, uint8 [H,W,3].')

    def __init__(self, fit: Fit):
        self._fit = fit

    @functools.cached_property
    def mesh(self) -> Mesh:
        """The object as triangles with a texture."""
        return Mesh(*(self._fit.get('mesh.' + n) for n in ('positions', 'triangles', 'uvs', 'normals', 'texture')))

    @functools.cached_property
    def views(self) -> Mapping[str, np.ndarray]:
        """Turned views by name, such as 'mesh_yaw+35.0': as the mesh renders them, and as the generator re-projects them ('gan_...')."""
        return Pictures(self._fit, 'views/')

    @functools.cached_property
    def relit(self) -> Mapping[str, np.ndarray]:
        """Views in other light, by name."""
        return Pictures(self._fit, 'relight/')

    @functools.cached_property
    def info(self) -> Dict[str, Any]:
        """Losses, phases, notes, the camera, the settings: what result.json says."""
        return self._fit.describe()

    @property
    def warnings(self) -> List[str]:
        """The sentences that the library said on the way."""
        return list(self._fit.notes)

    @property
    def fit(self) -> Fit:
        """The fit that it is of, with all results by name: fit.names, fit.get(name)."""
        return self._fit

    def save(self, folder: Any) -> None:
        """Everything as a folder, as `gan2shape reconstruct` writes it: mesh.glb, mesh.obj, overview.png, depth.png, result.json, ..."""
        self._fit.export(folder)

    def __repr__(self) -> str:
        mesh = self.mesh
        return f'<gan2shape.Reconstruction of {self.depth.shape[0]} pixels, {len(mesh.vertices)} vertices, {len(mesh.triangles)} triangles>'

    def _repr_png_(self) -> bytes:
        return png(self.overview)


def reconstruct(picture: Any, mask: Any = None, *, preset: str = 'default', quality: str = 'standard', crop: str = 'auto', seed: int = 0,
                align: str = 'auto', face: Any = 'largest', size: int = 0, views: str = '', scale: float = 1.0, weights: Any = None, latent: Any = None,
                force: bool = False, device: Optional[str] = None, threads: Optional[int] = None, precision: Optional[str] = None,
                memory_limit: Optional[int] = None, context: Optional[Context] = None, log: Optional[LogFunction] = None,
                progress: Optional[ProgressFunction] = None) -> Reconstruction:
    """From one picture, an array or the path of a file, to its 3D shape. This takes minutes; Ctrl-C stops it.

    picture, mask, preset, quality, crop, align, face, size, views, seed, scale, weights, latent, force: see Fit. quality: 'draft', 'standard' or 'paper'.
    device ('cpu', 'cuda', 'cuda:1', 'auto'), threads, precision, memory_limit: see Context; they are for calls without `context`.
    log: called with each sentence for the user, which go to the module `warnings` otherwise.
    progress: called with a Progress in each iteration. With tqdm:

        with tqdm() as bar:
            def show(p): bar.desc, bar.total, bar.n = p.stage, p.steps, p.step; bar.refresh()
            face = gan2shape.reconstruct('face.jpg', progress=show)
    """
    wanted = {'device': device, 'threads': threads, 'precision': precision, 'memory_limit': memory_limit}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    if context and wanted:
        raise TypeError(f'{", ".join(wanted)}: is settled by the context')
    if wanted:
        context = Context(**wanted)  # type: ignore[arg-type]
    fit = Fit(picture, mask, preset=preset, quality=quality, crop=crop, align=align, face=face, size=size, views=views, seed=seed, scale=scale, weights=weights,
              latent=latent, force=force, context=context, log=log, progress=progress)
    fit.step()
    return Reconstruction(fit)
