"""Erlang, seen from Python that runs inside the Erlang VM.

Functions registered with py:register_function/2,3 are attributes of this module::

    import erlang
    from erlang import my_function

    erlang.call("my_function", 1, 2)    # the same function, three ways
    erlang.my_function(1, 2)
    my_function(1, 2)

Everything here may be called on any thread.
"""

from __future__ import annotations

# Every interpreter imports this when it starts, and a context of mode owngil is one. So what costs milliseconds there
# (functools, typing, enum) is not imported, or not before somebody wants it.
from _functools import partial as _partial

import _erlang
from _erlang import Atom, Handle, Interrupted, Pid, PluginError, ProcessError, Ref, Term, atom, call, send, whereis

TYPE_CHECKING = False  # known to type checkers under this name
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from . import channel, plugins, reactor, server
    from ._async_calls import async_call
    from ._buffer import PyBuffer
    from ._gen_call import async_gen_call, gen_call
    from ._logging import ErlangHandler, setup_logging
    from ._loop import ErlangEventLoop, new_event_loop, run
    from ._mode import ExecutionMode, detect_mode
    from ._policy import EventLoopPolicy, install
    from ._reactor_buffer import ReactorBuffer
    from ._scheduling import (
        InlineScheduleMarker,
        ScheduleMarker,
        consume_time_slice,
        schedule,
        schedule_inline,
        schedule_py,
        sleep,
    )
    from ._spawning import spawn_task
    from ._state import SharedDict, state_decr, state_delete, state_get, state_incr, state_keys, state_set
    from ._tracing import Span, trace
    from .channel import ByteChannel, ByteChannelClosed

# Without what needs a plugin: `from erlang import *` works where that is left out.
__all__ = [
    "Atom",
    "ErlangEventLoop",
    "ErlangHandler",
    "EventLoopPolicy",
    "ExecutionMode",
    "Handle",
    "InlineScheduleMarker",
    "Interrupted",
    "Pid",
    "PluginError",
    "ProcessError",
    "ReactorBuffer",
    "Ref",
    "ScheduleMarker",
    "SharedDict",
    "Span",
    "SuspensionRequired",
    "Term",
    "async_call",
    "async_gen_call",
    "atom",
    "call",
    "consume_time_slice",
    "detect_mode",
    "gen_call",
    "install",
    "new_event_loop",
    "plugins",
    "run",
    "schedule",
    "schedule_inline",
    "schedule_py",
    "send",
    "server",
    "setup_logging",
    "sleep",
    "spawn_task",
    "state_decr",
    "state_delete",
    "state_get",
    "state_incr",
    "state_keys",
    "state_set",
    "trace",
    "whereis",
]


from . import _aside, _output

_output.install()

del TYPE_CHECKING, annotations  # every public name here hides a registered function of that name


# What is imported when somebody asks for it, and from where.
_LATER = {
    name: module
    for module, names in {
        "._async_calls": ("async_call",),
        "._buffer": ("PyBuffer",),
        "._buffer": ("PyBuffer",),
        "._gen_call": ("async_gen_call", "gen_call"),
        "._logging": ("ErlangHandler", "setup_logging"),
        "._loop": ("ErlangEventLoop", "new_event_loop", "run"),
        "._mode": ("ExecutionMode", "detect_mode"),
        "._policy": ("EventLoopPolicy", "install"),
        "._reactor_buffer": ("ReactorBuffer",),
        "._scheduling": (
            "InlineScheduleMarker",
            "ScheduleMarker",
            "consume_time_slice",
            "schedule",
            "schedule_inline",
            "schedule_py",
            "sleep",
        ),
        "._spawning": ("spawn_task",),
        "._state": (
            "SharedDict",
            "state_decr",
            "state_delete",
            "state_get",
            "state_incr",
            "state_keys",
            "state_set",
        ),
        "._tracing": ("Span", "trace"),
        ".channel": ("ByteChannel", "ByteChannelClosed"),
    }.items()
    for name in names
}


def _import(name: str) -> ModuleType:
    import sys
    from importlib import import_module

    if "asyncio" not in sys.modules:
        # Not on a thread that may be interrupted in the middle: a package that is half imported stays broken.
        _aside.run(import_module, name, __name__)
    return import_module(name, __name__)


class SuspensionRequired(BaseException):
    """Named by code written for implementations that suspend Python with an exception. Never raised here."""


def __getattr__(name: str) -> Callable[..., Any]:
    if name in _LATER:
        globals()[name] = getattr(_import(_LATER[name]), name)
        return globals()[name]
    if name in ("channel", "plugins", "reactor", "server"):  # modules, which importing sets
        return _import(f".{name}")
    if _erlang.is_registered(name):
        return _partial(call, name)
    raise AttributeError(
        f"module 'erlang' has no attribute {name!r}, and no Erlang function is registered under that name"
    )
