"""An asyncio event loop that waits for files and for Erlang at once.

It is CPython's own selector loop with a selector of ours: transports, TLS, executors and all else are asyncio's. On a
context's thread its select() sleeps until a file is ready *or* the context has something to do, which it then does between
the loop's callbacks. On other threads it is asyncio's loop.
"""

from __future__ import annotations

import asyncio
import select
import selectors
from asyncio import events

import _erlang

_get_running_loop = events._get_running_loop
_set_running_loop = events._set_running_loop
_HAS_EPOLL = hasattr(select, "epoll")


class _Selector(selectors.DefaultSelector):
    """Which wakes up for the context whose thread it is used on."""

    def __init__(self) -> None:
        super().__init__()
        self.serves_all = False
        self._wake: int | None = None
        self._context: int | None = None
        self._watches_wake = False

    def select(self, timeout: float | None = None) -> list:
        ready = None
        if self._context is not None:
            ready = _erlang.poll(self._fd, self._context, self._fd_to_key, timeout, self.serves_all)
        if ready.__class__ is list:
            return ready
        if ready is None:
            return self._select_elsewhere(timeout)
        if ready:
            self._serve()
        return super().select(0)

    def _select_elsewhere(self, timeout: float | None) -> list:
        """On a thread where it was not used last."""
        if self._watches_wake:
            if self._wake not in self._fd_to_key:  # its context is gone, and its number another file's
                try:
                    self._selector.unregister(self._wake)
                except OSError:  # its context is gone
                    pass
            self._watches_wake = False
        here = _erlang.poll_fd()
        if here is None:  # no context's thread
            self._context = None
            return super().select(timeout)
        self._wake, self._context = here
        self._fd = self.fileno()
        if _HAS_EPOLL:  # elsewhere poll() watches the two side by side
            self._selector.register(self._wake, select.EPOLLIN)
            self._watches_wake = True
        return self.select(timeout)

    def _serve(self) -> None:
        # What is served has nothing to do with this loop, and may run one of its own.
        loop = _get_running_loop()
        _set_running_loop(None)
        try:
            _erlang.serve_requests(self.serves_all)
        finally:
            _set_running_loop(loop)


class ErlangEventLoop(asyncio.SelectorEventLoop):
    """For any thread. Signals and subprocesses belong to the Erlang VM and raise NotImplementedError."""

    def __init__(self) -> None:
        super().__init__(_Selector())

    def add_signal_handler(self, sig, callback, *args):
        raise NotImplementedError("signals of the VM are Erlang's: handle them with os:set_signal/2 and erl_signal_server")

    def remove_signal_handler(self, sig):
        raise NotImplementedError("signals of the VM are Erlang's: there is no handler to remove")

    async def subprocess_shell(self, *args, **kwargs):
        raise NotImplementedError("a process cannot be forked inside the Erlang VM: open a port in Erlang instead")

    async def subprocess_exec(self, *args, **kwargs):
        raise NotImplementedError("a process cannot be forked inside the Erlang VM: open a port in Erlang instead")


def new_event_loop() -> ErlangEventLoop:
    """A loop that nobody runs yet; for asyncio.Runner(loop_factory=...), too."""
    return ErlangEventLoop()


def run(main, *, debug: bool | None = None):
    """Run a coroutine to its end on a loop of its own, and return what it returns. As asyncio.run()."""
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(main)
