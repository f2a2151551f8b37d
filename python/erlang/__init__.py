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

import functools as _functools
from collections.abc import Callable as _Callable
from typing import Any as _Any

import _erlang
from _erlang import Atom, Interrupted, Pid, ProcessError, Ref, Term, atom, call, send, whereis

__all__ = [
    "Atom",
    "Interrupted",
    "Pid",
    "ProcessError",
    "Ref",
    "SuspensionRequired",
    "Term",
    "atom",
    "call",
    "send",
    "whereis",
]


del annotations  # every public name here hides a registered function of that name


class SuspensionRequired(BaseException):
    """Named by code written for implementations that suspend Python with an exception. Never raised here."""


def __getattr__(name: str) -> _Callable[..., _Any]:
    if _erlang.is_registered(name):
        return _functools.partial(call, name)
    raise AttributeError(
        f"module 'erlang' has no attribute {name!r}, and no Erlang function is registered under that name"
    )
