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
        self._closed_first: set[int] = set()  # numbers of files that were closed before they were unregistered

    def select(self, timeout: float | None = None) -> list:
        ready = None
        if self._context:
            ready = _erlang.poll(self._fd, self._context, self._fd_to_key, timeout, self.serves_all)
        if ready.__class__ is list:
            return self._without_strangers(ready) if ready and self._closed_first else ready
        if ready is None:
            return self._select_elsewhere(timeout)
        if ready.__class__ is tuple:
            return self._renewed(list(ready))
        return super().select(0)

    def _select_elsewhere(self, timeout: float | None) -> list:
        """On a thread where it was not used last."""
        self._forget_context()
        found = _erlang.poll_fd()
        if found is None:  # no context's thread
            ready = super().select(timeout)
            return self._without_strangers(ready) if self._closed_first else ready
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

    if _HAS_EPOLL:
        # It watches files, not numbers. One that is closed here and has a duplicate elsewhere is watched on, and nobody
        # can unregister it: there would be no end of its events, which the next file with its number would get.

        def unregister(self, fileobj) -> selectors.SelectorKey:
            key = selectors._BaseSelectorImpl.unregister(self, fileobj)
            try:
                self._selector.unregister(key.fd)
            except OSError:
                self._closed_first.add(key.fd)
            return key

    def _without_strangers(self, ready: list) -> list:
        suspects = [key for key, _ in ready if key.fd in self._closed_first]
        if suspects:
            really = select.poll()
            for key in suspects:
                really.register(key.fd, _epoll_events(key))
            strange = len(really.poll(0)) < len(suspects)
        else:
            found = [] if ready else self._selector.poll(0)
            strange = any(fd not in self._fd_to_key and fd != self._wake for fd, _ in found)
        return self._renewed(ready) if strange else ready

    def _renewed(self, ready: list) -> list:
        # The next time says what is ready, and nothing else.
        return [] if _erlang.uninterruptible(self._begin_again) else ready

    def _begin_again(self) -> bool:
        try:
            new = select.epoll()
        except OSError:  # there is no room for one now, nor will there be if nothing goes on
            return False
        for fd, key in list(self._fd_to_key.items()):
            try:
                new.register(fd, _epoll_events(key))
            except OSError:  # it is closed
                pass
        if self._wake != -1 and self._wake not in self._fd_to_key:
            new.register(self._wake, select.EPOLLIN)
        old, self._selector, self._fd = self._selector, new, new.fileno()
        old.close()
        self._closed_first.clear()
        return True


def _epoll_events(key: selectors.SelectorKey) -> int:
    """Those of poll() are the same."""
    read = select.EPOLLIN if key.events & selectors.EVENT_READ else 0
    return read | (select.EPOLLOUT if key.events & selectors.EVENT_WRITE else 0)


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
    _closed = True  # until it is made: an interrupt may come before that, and its finalizer asks

    def __init__(self, selector: str | None = None) -> None:
        """selector: who watches files, this thread ("native") or the VM ("beam"); without it, as it is configured."""
        # asyncio makes a pair of sockets, and in between their files belong to no object that would close them.
        _erlang.uninterruptible(super().__init__, _make_selector(selector))

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
        _erlang.uninterruptible(self._close)

    def _close(self) -> None:
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
