"""Generators, LPIPS, object masks and whole 3D reconstructions of single pictures, on numpy arrays.

    import gan2shape
    face = gan2shape.reconstruct('face.jpg')
    face.depth, face.normals, face.albedo, face.mesh
    face.save('out/face')

Everything is computed by the library libgan2shape, which is loaded when it is first needed.
"""
from .context import Context, Progress, default_context
from .errors import (Busy, Cancelled, Error, FileError, FormatError, InternalError, InvalidArgument, MissingFile, Notice, OutOfMemory,
                     ShapeMismatch, Unsupported)
from .faces import Face, FaceFinder
from .fit import Fit
from .generator import Generator
from .lpips import Lpips
from .masks import Masker
from .pictures import read_picture, write_picture
from .reconstruction import Mesh, Reconstruction, reconstruct

__version__ = '0.1.0'


def library_version() -> str:
    """Of the library that runs."""
    from ._library import library

    return library().g2s_version().decode()


__all__ = ['Busy', 'Cancelled', 'Context', 'Error', 'Face', 'FaceFinder', 'FileError', 'Fit', 'FormatError', 'Generator', 'InternalError',
           'InvalidArgument', 'Lpips', 'Masker', 'Mesh', 'MissingFile', 'Notice', 'OutOfMemory', 'Progress', 'Reconstruction', 'ShapeMismatch', 'Unsupported',
           'default_context', 'library_version', 'read_picture', 'reconstruct', 'write_picture']
