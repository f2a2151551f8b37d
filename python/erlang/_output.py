"""sys.stdout and sys.stderr of an interpreter: what is written goes to Erlang, line by line (py_output)."""

from __future__ import annotations

import io
import sys
from _collections import deque
from _thread import _local

import _erlang

# Registered where Python's output is Erlang's business; else it goes to the streams of the OS process.
_FUNCTION = "$py_output"
_MOST = 8192
"""When so many characters without a newline are kept, they are sent before more are."""


class _Line(deque):
    """What was written to a stream since the last newline, in pieces.

    A finalizer may write in the middle of any of these functions, to this very line. So pieces are only added and taken
    one by one, and none is lost or sent twice.
    """

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0

    def add(self, text: str) -> None:
        self.append(text)
        self.size += len(text)

    def take(self) -> str:
        self.size = 0
        pieces = []
        try:
            while True:
                pieces.append(self.popleft())
        except IndexError:
            return "".join(pieces)


class _Lines:
    """Those of one request, or thread: what two of them write is not mixed within a line."""

    __slots__ = ("stderr", "stdout")

    def __init__(self) -> None:
        self.stdout = _Line()
        self.stderr = _Line()

    def __call__(self) -> None:
        """Send what has no newline at its end; the request is over."""
        _send_rest("stdout", self.stdout)
        _send_rest("stderr", self.stderr)


class _LinesOfThread(_Lines):
    __slots__ = ()

    def __del__(self) -> None:
        self()


_threads = _local()


def _lines() -> _Lines:
    lines = _erlang.of_request(_Lines)
    if lines is None:  # a thread that Python code has started
        try:
            lines = _threads.lines
        except AttributeError:
            lines = _threads.lines = _LinesOfThread()
    return lines


def _send(name: str, text: str) -> None:
    try:
        _erlang.call_alone(_FUNCTION, name, text.encode("utf-8", "backslashreplace"))
    except Exception:  # not Interrupted, which is none
        pass  # nobody is there to read it, and code that prints does not fail for that


def _send_rest(name: str, line: _Line) -> None:
    if line:
        _send(name, line.take())


class Output(io.TextIOBase):
    """A stream that takes text and is never closed: all code of the interpreter has the same one."""

    encoding = "utf-8"
    errors = "backslashreplace"
    line_buffering = True
    mode = "w"

    def __init__(self, name: str, original: io.TextIOBase | None) -> None:
        """name: "stdout" or "stderr". original: the stream of the OS process, if it has one."""
        self.name = f"<{name}>"
        self._stream = name
        self._original = original

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if not _erlang.is_registered(_FUNCTION):
            if self._original is not None:
                self._original.write(text)
            return len(text)
        line = getattr(_lines(), self._stream)
        end = text.rfind("\n") + 1
        if end:
            _send(self._stream, line.take() + text[:end])
        if end < len(text):
            if line.size > _MOST:  # looked at before, so that a long line and its newline stay together
                _send_rest(self._stream, line)
            line.add(text[end:])
        return len(text)

    def flush(self) -> None:
        if _erlang.is_registered(_FUNCTION):
            _send_rest(self._stream, getattr(_lines(), self._stream))
        elif self._original is not None:
            self._original.flush()

    def close(self) -> None:
        self.flush()

    def reconfigure(self, **_options: object) -> None:
        """Nothing can be set here; programs that ask for UTF-8 or for lines have both."""
        self.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._is_of_os() and self._original.isatty()

    def fileno(self) -> int:
        return self._original.fileno() if self._is_of_os() else super().fileno()

    @property
    def buffer(self) -> io.BufferedIOBase:
        if not self._is_of_os():
            raise AttributeError("a stream that leads to Erlang takes text only and has no buffer")
        return self._original.buffer

    def _is_of_os(self) -> bool:
        return self._original is not None and not _erlang.is_registered(_FUNCTION)


def install() -> None:
    """Put them in place of what sys.stdout and sys.stderr were."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name, None)
        if not isinstance(stream, Output):
            setattr(sys, name, Output(name, stream))
