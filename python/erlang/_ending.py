"""The end of an interpreter whose context was stopped."""

from __future__ import annotations

import sys
import threading

from _erlang import Interrupted


def silence() -> None:
    """Let threads that are interrupted now end without a traceback: nothing has failed."""
    report_thread, report_other = threading.excepthook, sys.unraisablehook

    def thread_ended(args) -> None:
        if not issubclass(args.exc_type, Interrupted):
            report_thread(args)

    def other_ended(args) -> None:
        if not issubclass(args.exc_type, Interrupted):
            report_other(args)

    threading.excepthook, sys.unraisablehook = thread_ended, other_ended
    if "concurrent.futures.thread" in sys.modules:  # whose workers log what ends them, not by a hook
        from concurrent.futures import _base

        _base.LOGGER.addFilter(lambda record: not (record.exc_info and issubclass(record.exc_info[0], Interrupted)))
