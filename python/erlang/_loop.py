"""An asyncio event loop that waits for files and for Erlang at once.

It is CPython's own selector loop with a selector of ours: transports, TLS, executors and all else are asyncio's. On a
context's thread its select() sleeps until a file is ready *or* the context has something to do, which it then does between
the loop's callbacks. On other threads it is asyncio's loop.
"""

from __future__ import annotations

# Before asyncio: dataclasses, which that imports, looks for typing in sys.modules, and takes it as it is while another
# thread imports it. asyncio would stay broken then.
import typing  # noqa: F401  isort: skip

import asyncio
import select
import selectors
import sys
from asyncio import events

import _erlang

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._async_calls import _Answers

_get_running_loop = events._get_running_loop
_HAS_EPOLL = hasattr(select, "epoll")


class NativeSelector(selectors.DefaultSelector):
    """Which wakes up for the context whose thread it is used on."""

    def __init__(self) -> None:
        super().__init__()
        self.serves_all = False
        self._context = 0  # the key of the one whose thread it was used on last, if it was one
        self._wake = -1  # watched for that context

    def select(self, timeout: float | None = None) -> list:
        ready = None
        if self._context:
            ready = _erlang.poll(self._fd, self._context, self._fd_to_key, timeout, self.serves_all)
        if ready.__class__ is list:
            return ready
        if ready is None:
            return self._select_elsewhere(timeout)
        return super().select(0)

    def _select_elsewhere(self, timeout: float | None) -> list:
        """On a thread where it was not used last."""
        self._forget_context()
        found = _erlang.poll_fd()
        if found is None:  # no context's thread
            return super().select(timeout)
        self._fd = self.fileno()
        wake, self._context = found
        if _HAS_EPOLL:  # elsewhere poll() watches the two side by side
            self._selector.register(wake, select.EPOLLIN)
            self._wake = wake
        return self.select(timeout)

    def _forget_context(self) -> None:
        # If the context is gone, so is what was watched for it, and the number may be another file's by now.
        if self._wake != -1 and self._wake not in self._fd_to_key:
            try:
                self._selector.unregister(self._wake)
            except OSError:
                pass
        self._context, self._wake = 0, -1


_BEAM_IS_DEFAULT = "$py_beam_selector"
"""Registered in Erlang where the configuration says so."""


def _make_selector(name: str | None) -> selectors.BaseSelector:
    if name is None:
        name = "beam" if _erlang.is_registered(_BEAM_IS_DEFAULT) else "native"
    if name == "native":
        return NativeSelector()
    if name == "beam":
        from ._beam import BeamSelector

        return BeamSelector()
    raise ValueError(f"a selector is 'native' or 'beam', not {name!r}")


class ErlangEventLoop(asyncio.SelectorEventLoop):
    """For any thread. Signals and subprocesses belong to the Erlang VM and raise NotImplementedError."""

    _answers: _Answers | None = None  # what it waits for in Erlang

    def __init__(self, selector: str | None = None) -> None:
        """selector: who watches files, this thread ("native") or the VM ("beam"); without it, as it is configured."""
        super().__init__(_make_selector(selector))

    def run_forever(self) -> None:
        hooks = sys.get_asyncgen_hooks()
        ran = self._thread_id is not None
        try:
            super().run_forever()
        finally:
            if not ran:
                self._let_go()
                sys.set_asyncgen_hooks(*hooks)

    def _let_go(self) -> None:
        """Make good for an interrupt that hit the beginning or the end of run_forever() itself."""
        self._stopping = False
        self._thread_id = None
        if _get_running_loop() is self:
            events._set_running_loop(None)
        self._set_coroutine_origin_tracking(False)

    def close(self) -> None:
        super().close()
        if self._answers is not None:
            self._answers.close()

    def add_signal_handler(self, sig, callback, *args):
        raise NotImplementedError("signals of the VM are Erlang's: handle them with os:set_signal/2 and erl_signal_server")

    def remove_signal_handler(self, sig):
        raise NotImplementedError("signals of the VM are Erlang's: there is no handler to remove")

    async def subprocess_shell(self, *args, **kwargs):
        raise NotImplementedError("a process cannot be forked inside the Erlang VM: open a port in Erlang instead")

    async def subprocess_exec(self, *args, **kwargs):
        raise NotImplementedError("a process cannot be forked inside the Erlang VM: open a port in Erlang instead")


def new_event_loop(selector: str | None = None) -> ErlangEventLoop:
    """A loop that nobody runs yet; for asyncio.Runner(loop_factory=...), too. For selector see ErlangEventLoop."""
    return ErlangEventLoop(selector)


def run(main, *, debug: bool | None = None):
    """Run a coroutine to its end on a loop of its own, and return what it returns. As asyncio.run()."""
    if _get_running_loop() is not None:
        raise RuntimeError("erlang.run() cannot be called from a running event loop: await the coroutine")
    with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
        return runner.run(main)
