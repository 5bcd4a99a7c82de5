"""Where and how the library works: device, threads, precision, memory, and who hears of it."""
from __future__ import annotations

import ctypes
import functools
import json
import os
import sys
import warnings
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from . import _calls
from ._library import ContextOptions, LogCallback, Owned, ProgressCallback, check, library, path_of, text_of
from .errors import Notice

_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Progress(NamedTuple):
    """How far a fit is."""

    stage: str  #: 'projection', 'prior', 'stage 1/4 step2', ..., 'done'
    step: int  #: of this stage, done so far
    steps: int  #: of this stage, in all
    loss: Optional[float]  #: where there is one
    seconds: float  #: since the beginning of the fit
    seconds_left: Optional[float]  #: of all of it, an estimate; None: not known yet


def progress_from(p: Any) -> Progress:
    """Of a g2s_progress."""
    left = p.seconds_left if p.seconds_left >= 0 else None
    return Progress((p.stage or b'').decode('utf-8', 'replace'), p.step, p.steps, p.loss if p.has_loss else None, p.seconds, left)


def _warn(sentence: str) -> None:
    """At the line that called this package."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_code.co_filename.startswith(_FOLDER):
        level, frame = level + 1, frame.f_back
    warnings.warn(sentence, Notice, stacklevel=level)


LogFunction = Callable[[str], Any]
ProgressFunction = Callable[[Progress], Any]


class Context:
    """Where and how the library works. Two contexts know nothing of each other, and any thread may use any of them.

    device: 'cpu', 'cuda', 'cuda:1', or 'auto': cuda where there is one that runs, else cpu.
    threads: as many as the process may run on, if None. Results have the same bits at any number.
    precision: 'f32', or 'bf16' for products of matrices and convolutions of rounded factors, summed in f32.
    memory_limit: bytes. Fits take batches in parts to stay below, and refuse a limit that is too low.
    stream: a cudaStream_t as a number (torch.cuda.current_stream().cuda_stream), on which all work is done; it must outlive the context.
    assets: the folder of the default weights; if None, $GAN2SHAPE_ASSETS or what lies beside the library.
    log: called with each sentence for the user. If None they go to the module `warnings`, as Notice.
    progress: called with a Progress, once an iteration or so. What it returns does not count; what it raises stops the work.

    Both are called in the thread that called the library. Ctrl-C stops what runs and raises KeyboardInterrupt; the context is as good as before.
    """

    def __init__(self, device: str = 'cpu', *, threads: Optional[int] = None, precision: str = 'f32', memory_limit: Optional[int] = None,
                 stream: Optional[int] = None, assets: Any = None, log: Optional[LogFunction] = None,
                 progress: Optional[ProgressFunction] = None):
        self.log, self.progress, self.stream = log, progress, stream
        self._running: List[_calls.Call] = []
        self._callbacks = LogCallback(self._on_log), ProgressCallback(self._on_progress)
        options = ContextOptions()
        library().g2s_context_options_init(ctypes.byref(options))
        options.threads, options.memory_limit, options.stream = threads or 0, memory_limit or 0, stream
        options.device, options.precision = device.encode(), precision.encode()
        options.assets = None if assets is None else path_of(assets)
        options.log, options.progress = self._callbacks
        self._owned = Owned('context')
        check(library().g2s_context_new(ctypes.byref(options), self._owned.reference))
        self._stops = _calls.Stops(self._owned.handle)

    @property
    def info(self) -> Dict[str, Any]:
        """Device, threads, instruction set, precision, folder of the default weights, version of the library, ..."""
        return json.loads(text_of('g2s_context_describe', self._owned.handle))

    def cancel(self) -> None:
        """Stops what runs here as soon as possible, and refuses what comes, with Cancelled, until resume(). For any thread."""
        self._stops.cancel(True)

    def resume(self) -> None:
        """Ends what cancel() began. A fit that was stopped goes on from there with its next step."""
        self._stops.cancel(False)

    def close(self) -> None:
        """Gives back what it holds; else that happens with the last reference. What was made in it goes on."""
        self._owned.free()

    def __enter__(self) -> 'Context':
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        if not self._owned.handle:
            return '<gan2shape.Context, closed>'
        info = self.info
        return f'<gan2shape.Context on {info["device"]}, {info["threads"]} threads, {info["precision"]}>'

    # ---- for the other files ----

    def _run(self, name: str, *arguments: Any, keep: Any = None, log: Optional[LogFunction] = None, progress: Optional[ProgressFunction] = None) -> None:
        """Makes a call. `keep` lives as long as it runs; `log` and `progress` go before the context's."""
        log, progress = log or self.log or _warn, progress or self.progress

        def tell(kind: str, value: Any) -> None:
            if kind == 'log':
                log(value)
            elif progress:
                progress(value)

        call = _calls.Call(name, arguments, self._stops, (self, keep))
        self._running.append(call)
        try:
            _calls.run(call, tell)
        finally:
            self._running.remove(call)

    def _load(self, kind: str, path: Any, keep: Any) -> Owned:
        """A network of a .safetensors file; path None: the weights that are shipped."""
        network = Owned(kind)
        self._run(f'g2s_{kind}_load', self._owned.handle, None if path is None else path_of(path), network.reference, keep=(network, keep))
        return network

    def _call_that_reports(self) -> Optional[_calls.Call]:
        call = _calls.call_of_this_thread()
        return call or (self._running[-1] if self._running else None)  # the library's own threads help it

    def _on_log(self, _: Any, sentence: bytes) -> None:
        call = self._call_that_reports()
        if call:
            call.events.put(('log', sentence.decode('utf-8', 'replace')))

    def _on_progress(self, _: Any, progress: Any) -> int:
        call = self._call_that_reports()
        if call:
            call.events.put(('progress', progress_from(progress.contents)))
        return 0


@functools.lru_cache(maxsize=None)
def default_context() -> Context:
    """What is used where no context is given: Context(), on the CPU."""
    return Context()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=default_context.cache_clear)  # its threads are not copied
