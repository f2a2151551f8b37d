"""Code that goes on later: what a function returns instead of its result. Any thread, but for what it says itself.

Between the steps of such a chain the interpreter is let go, so that other contexts get their turn. Everything belongs to
one request: its timeout, its interrupts and its result are those of the last step.
"""

from __future__ import annotations

import sys
from _thread import _local
from importlib import import_module
from time import monotonic
from time import sleep as time_sleep

import _erlang

__all__ = [
    "InlineScheduleMarker",
    "ScheduleMarker",
    "consume_time_slice",
    "schedule",
    "schedule_inline",
    "schedule_py",
    "sleep",
]


class ScheduleMarker:
    """Stands for what is to be done next. It has to be the result of the function Erlang has called."""

    __slots__ = ("_next", "_globals")

    def __init__(self, following, namespace: dict | None = None) -> None:
        self._next = following
        self._globals = namespace

    def _continue(self, namespace: dict) -> object:
        return self._next(self._globals if self._globals is not None else namespace)


class InlineScheduleMarker(ScheduleMarker):
    """The same, for schedule_inline."""

    __slots__ = ()


_erlang.set_schedule_markers(ScheduleMarker, InlineScheduleMarker)


def schedule(name: str | None = None, *args: object) -> ScheduleMarker:
    """Go on with a function registered in Erlang: its result is that of the request. Without a name that is None."""
    return ScheduleMarker(lambda _namespace: None if name is None else _erlang.call(name, *args))


def schedule_py(module: str, func: str, args=None, kwargs=None) -> ScheduleMarker:
    """Go on with a Python function; `__main__` is the namespace of the request."""
    return ScheduleMarker(_calling(module, func, args, kwargs))


def schedule_inline(module: str, func: str, args=None, kwargs=None) -> InlineScheduleMarker:
    """The same; `__main__` is where the calling code is defined."""
    return InlineScheduleMarker(_calling(module, func, args, kwargs), sys._getframe(1).f_globals)


def _calling(module: str, func: str, args, kwargs):
    args = () if args is None else tuple(args)
    kwargs = {} if kwargs is None else dict(kwargs)

    def following(namespace: dict) -> object:
        if module == "__main__" and func in namespace:
            function = namespace[func]
        else:
            function = getattr(import_module(module), func)
        return function(*args, **kwargs)

    return following


_used = _local()
_INTERRUPTIBLE = 0.02  # seconds: an interrupt arrives when a function of C returns


def consume_time_slice(percent: int) -> bool:
    """Book a part of this thread's time slice, 1 to 100 percent. True when it is used up: time to return a marker.

    The next slice begins then.
    """
    if not 1 <= percent <= 100:
        raise ValueError(f"percent is from 1 to 100, not {percent!r}")
    used = getattr(_used, "percent", 0) + percent
    _used.percent = 0 if used >= 100 else used
    return used >= 100


def sleep(seconds: float):
    """Wait, in a way that a timeout or an interrupt of the request ends. In a coroutine, to be awaited."""
    if seconds < 0:
        raise ValueError("the time to sleep must not be negative")
    if "asyncio" in sys.modules:
        import asyncio

        if asyncio._get_running_loop() is not None:
            return asyncio.sleep(seconds)
    until = monotonic() + seconds
    while (left := until - monotonic()) > 0:
        time_sleep(min(left, _INTERRUPTIBLE))
    return None
