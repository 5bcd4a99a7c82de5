"""What goes wrong in the library, as exceptions that are also Python's own where one fits."""
from __future__ import annotations

import os


class Error(RuntimeError):
    """The library refused something or could not do it. The text names the file, option or argument at fault.

    `status` is the number that the C interface gives (g2s_status).
    """

    status: int = 8


class InvalidArgument(Error, ValueError):
    """A value outside what is accepted."""

    status = 1


class ShapeMismatch(Error, ValueError):
    """Shapes or element types that do not fit together."""

    status = 2


class FileError(Error, OSError):
    """A file or folder could not be read or written."""

    status = 3


class MissingFile(FileError, FileNotFoundError):
    """A file or folder is not there."""


class FormatError(Error, ValueError):
    """A file or text was read, but its content is not what it should be."""

    status = 4


class Unsupported(Error):
    """Valid, but not available in this build or on this device, such as 'cuda' where there is none."""

    status = 5


class OutOfMemory(Error, MemoryError):
    """The machine's memory, or the context's memory_limit, does not suffice."""

    status = 6


class Cancelled(Error):
    """Context.cancel() was called."""

    status = 7


class InternalError(Error):
    """A mistake of the library's."""

    status = 8


class Busy(Error):
    """The object is in use by another thread."""

    status = 9


class Notice(UserWarning):
    """What the library has to say about a call that succeeded. Given to the module `warnings` unless there is a `log` function."""


_CLASSES = {c.status: c for c in (InvalidArgument, ShapeMismatch, FileError, FormatError, Unsupported, OutOfMemory, Cancelled, InternalError, Busy)}


def error_of(status: int, text: str) -> Error:
    """The exception for a failed call. The text begins with what is at fault: of a file error, with the file."""
    kind = _CLASSES.get(status, Error)
    if kind is FileError and not os.path.lexists(text.split(': ')[0]):
        kind = MissingFile
    error = kind(text)
    error.status = status
    return error
