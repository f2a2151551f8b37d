"""What Python code of this interpreter shares with that of others: a GIL, or nothing."""

from __future__ import annotations

import sys
from enum import StrEnum

try:
    from _thread import _is_main_interpreter
except ImportError:  # before Python 3.12 all interpreters share one GIL, so it makes no difference
    def _is_main_interpreter() -> bool:
        return True


class ExecutionMode(StrEnum):
    """What detect_mode() answers. Reaches Erlang as its text, such as <<"subinterp">>."""

    FREE_THREADED = "free_threaded"
    """There is no GIL: threads run at once."""
    SUBINTERP = "subinterp"
    """An interpreter beside the main one: a context of mode owngil, with a GIL of its own."""
    SHARED_GIL = "shared_gil"
    """One thread of the process runs Python at a time."""


def detect_mode() -> ExecutionMode:
    """What holds for the calling code, now: a free-threaded Python can be made to use a GIL."""
    has_gil = sys._is_gil_enabled() if hasattr(sys, "_is_gil_enabled") else True
    if not has_gil:
        return ExecutionMode.FREE_THREADED
    return ExecutionMode.SHARED_GIL if _is_main_interpreter() else ExecutionMode.SUBINTERP
