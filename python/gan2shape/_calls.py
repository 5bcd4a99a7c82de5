"""Calls that may take long. They are made by a helping thread, while the thread that wants the result waits for what happens in them.

So Ctrl-C is served at once, and callbacks run in the thread of the caller, where they may raise what they like: either stops the work.
"""
from __future__ import annotations

import os
import queue
import threading
from typing import Any, Callable, List, Optional, Tuple

from ._library import last_error, library
from .errors import error_of

Event = Tuple[str, Any]  # 'log' and a sentence, 'progress' and a Progress, 'end' and None


class Stops:
    """Of a context: cancelled while any call in it is being stopped, or while its user wants it to be."""

    def __init__(self, handle: Any):
        self.lock = threading.Lock()
        self._handle, self._stopping, self._cancelled = handle, 0, False

    def cancel(self, wanted: bool) -> None:
        with self.lock:
            self._cancelled = wanted
            self.tell()

    def count(self, change: int) -> None:
        """A call begins (1) or ends (-1) to be stopped. The lock is held."""
        self._stopping += change
        self.tell()

    def tell(self) -> None:
        if self._stopping or self._cancelled:
            library().g2s_context_cancel(self._handle)
        else:
            library().g2s_context_resume(self._handle)


class Call:
    """One call of the function `name`. Its arguments, and what it keeps, live as long as it does, which may be longer than the caller waits."""

    def __init__(self, name: str, arguments: Tuple[Any, ...], stops: Stops, keeps: Any):
        self.events: 'queue.SimpleQueue[Event]' = queue.SimpleQueue()
        self.error: Optional[BaseException] = None
        self._name, self._arguments, self._stops, self._keeps = name, arguments, stops, keeps
        self._began = self._stopped = self._ended = False

    def run(self) -> None:
        """In the helping thread."""
        with self._stops.lock:
            if self._stopped:
                return
            self._began = True
        try:
            status = getattr(library(), self._name)(*self._arguments)
            if status:
                self.error = error_of(status, last_error())
        except BaseException as e:  # an argument that ctypes refuses
            self.error = e
        with self._stops.lock:
            self._ended = True
            if self._stopped:
                self._stops.count(-1)

    def stop(self) -> None:
        """In the caller's thread: what has not begun never will, what runs is cancelled. Returns when it has ended."""
        with self._stops.lock:
            running = self._began and not self._ended
            self._stopped = True
            if running:
                self._stops.count(1)
        while running and not self._ended:
            self.events.get()


class _Helper:
    """A thread that makes one call after the other."""

    def __init__(self) -> None:
        self.calls: 'queue.SimpleQueue[Call]' = queue.SimpleQueue()
        threading.Thread(target=self._serve, name='gan2shape', daemon=True).start()

    def _serve(self) -> None:
        while True:
            call = self.calls.get()
            _here.call = call
            call.run()
            _here.call = None
            events = call.events
            del call
            _idle.append(self)
            events.put(('end', None))


_idle: List[_Helper] = []  # pop and append are atomic
_here = threading.local()
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_idle.clear)  # threads are not copied


def call_of_this_thread() -> Optional[Call]:
    """The call that this helping thread is making."""
    return getattr(_here, 'call', None)


def run(call: Call, tell: Callable[[str, Any], None]) -> None:
    """Makes the call, and tells the caller's callbacks what happens meanwhile. An exception of theirs, or Ctrl-C, cancels it."""
    try:
        try:
            helper = _idle.pop()
        except IndexError:
            helper = _Helper()
        helper.calls.put(call)
        while True:
            kind, value = call.events.get()
            if kind == 'end':
                break
            tell(kind, value)
    except BaseException:
        call.stop()
        raise
    if call.error is not None:
        raise call.error
