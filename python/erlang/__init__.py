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

import functools
from collections.abc import Callable
from typing import Any

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


class SuspensionRequired(BaseException):
    """Named by code written for implementations that suspend Python with an exception. Never raised here."""


def __getattr__(name: str) -> Callable[..., Any]:
    if _erlang.is_registered(name):
        return functools.partial(call, name)
    raise AttributeError(
        f"module 'erlang' has no attribute {name!r}, and no Erlang function is registered under that name"
    )
