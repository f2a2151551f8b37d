"""Spans: what took how long, inside what (py_tracer). Any thread, any asyncio task.

Times are microseconds of CLOCK_MONOTONIC, which Erlang knows as the os_monotonic_time_source.
"""

from __future__ import annotations

import sys
from _contextvars import ContextVar, copy_context
from _random import Random
from _thread import get_ident
from os import urandom
from time import monotonic_ns

import _erlang

from ._text import utf8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Span", "trace"]

_FEED = 1
_MOST_EVENTS = 1000

_PY_SPAN = _erlang.atom("py_span")
_OK = _erlang.atom("ok")
_ERROR = _erlang.atom("error")
_UNDEFINED = _erlang.atom("undefined")

_new_id = Random(int.from_bytes(urandom(32), "big")).getrandbits

_current: ContextVar[tuple[int, int] | None] = ContextVar("erlang_span", default=None)
"""The id of the span that others begin in, and the thread that began it."""

_threads_inherit = getattr(sys.flags, "thread_inherit_context", False)
_probe: ContextVar[object] = ContextVar("erlang_span_probe", default=None)


class Span:
    """A piece of work, for `with` or `async with`. Nothing is noted while tracing is off.

    A span that begins inside another one, in the same thread or asyncio task or in a task started there, has that as
    its parent.
    """

    __slots__ = ("_attributes", "_events", "_id", "_name", "_parent", "_start", "_token")

    def __init__(self, name: str, /, **attributes: object) -> None:
        """attributes: what Erlang gets as results of calls; the rest as text."""
        self._name = name
        self._attributes = attributes
        self._id = None

    def event(self, name: str, /, **attributes: object) -> None:
        """Something that happened at this moment, within the span. Up to a thousand of them."""
        if self._id is not None and len(self._events) < _MOST_EVENTS:
            self._events.append((name, attributes, monotonic_ns() // 1000))

    def __enter__(self) -> Span:
        if not _erlang.feed_is_open(_FEED):
            return self
        if self._id is not None:
            raise RuntimeError("a Span that has begun cannot begin again before it has ended")
        outer = _current.get()
        self._parent = _UNDEFINED if outer is None else _parent(outer)
        self._events = []
        span_id = _new_id(64) or 1
        self._start = monotonic_ns() // 1000
        try:
            self._token = _current.set((span_id, get_ident()))
            self._id = span_id
        except BaseException:  # interrupted; the caller's `with` has not begun
            _current.set(outer)
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        if self._id is None:
            return
        try:
            _current.reset(self._token)
        except (ValueError, RuntimeError):  # it ends in another context than it began in, as generators may
            pass
        span_id, self._id = self._id, None
        failed = error is not None and not isinstance(error, GeneratorExit)
        self._send(span_id, _ERROR if failed else _OK, {"exception": utf8(error)} if failed else {})

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        self.__exit__(kind, error, traceback)

    def _send(self, span_id: int, status: _erlang.Atom, end_attributes: dict) -> None:
        end = monotonic_ns() // 1000
        head = (_PY_SPAN, span_id, self._parent, self._start, end, status)
        name = self._name if type(self._name) is str and self._name.isascii() else utf8(self._name)
        try:
            _erlang.feed(_FEED, (*head, name, self._attributes, end_attributes, self._events))
        except Exception:  # something in it has no form in Erlang
            events = [(utf8(name), _texts(attributes), time) for name, attributes, time in self._events]
            _erlang.feed(_FEED, (*head, utf8(self._name), _texts(self._attributes), end_attributes, events))


def _texts(attributes: dict[str, object]) -> dict[bytes, bytes]:
    return {utf8(name): utf8(value) for name, value in attributes.items()}


def _parent(outer: tuple[int, int]) -> int | _erlang.Atom:
    span_id, thread = outer
    if thread == get_ident() or not _threads_inherit or not _runs_in_what_its_thread_inherited():
        return span_id
    return _UNDEFINED


def _runs_in_what_its_thread_inherited() -> bool:
    # Without a GIL, a thread starts with the context of whoever started it, which is no reason to be part of the span
    # there. What is run in such a context on purpose, as by asyncio.to_thread(), is.
    from threading import current_thread

    context = getattr(current_thread(), "_context", None)
    mark = object()
    token = _probe.set(mark)
    try:
        return context is not None and context.get(_probe) is mark
    finally:
        _probe.reset(token)


def trace(name: str | Callable[..., Any] | None = None) -> Callable[..., Any]:
    """A decorator: each call of the function is a span, named like the function if nothing else is said.

    For functions, coroutine functions, and generator functions, whose span lasts until they are exhausted or closed.
    """
    if callable(name):
        return trace()(name)
    return lambda function: _traced(name or getattr(function, "__qualname__", repr(function)), function)


_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200  # of inspect, which takes long to import


def _traced(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    from functools import wraps

    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & _ASYNC_GENERATOR:
        raise TypeError("trace() is not for async generators; use a Span where they are read")
    if flags & _COROUTINE:

        @wraps(function)
        async def traced(*args, **kwargs):
            with Span(name):
                return await function(*args, **kwargs)

    elif flags & _GENERATOR:

        @wraps(function)
        def traced(*args, **kwargs):
            return (yield from _apart(_in_span(name, function(*args, **kwargs))))

    else:

        @wraps(function)
        def traced(*args, **kwargs):
            with Span(name):
                return function(*args, **kwargs)

    return traced


def _in_span(name, generator):
    with Span(name):
        return (yield from generator)


def _apart(generator):
    """A generator in a context of its own, so that its span is not that of whoever reads it between two items."""
    context = copy_context()
    step, value = generator.send, None
    while True:
        try:
            item = context.run(step, value)
        except StopIteration as end:
            return end.value
        try:
            step, value = generator.send, (yield item)
        except GeneratorExit:
            context.run(generator.close)
            raise
        except BaseException as error:
            step, value = generator.throw, error
