"""A selector that leaves it to the Erlang VM to watch files.

The VM does that with its own threads, for all loops at once, and tells a process of Erlang, the loop's worker, what is
ready. The worker puts it into a queue of the core, whose file descriptor is all that this selector waits for itself.
"""

from __future__ import annotations

import selectors

import _erlang

from ._loop import NativeSelector

START_WORKER = "$py_event_worker"
"""The Erlang function that gives a loop its worker."""


class BeamSelector(selectors._BaseSelectorImpl):
    """Level-triggered, as all selectors are: what was reported is armed again by the next select()."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = NativeSelector()  # for the queue, and for the context whose thread this is used on
        self._loop = None
        self._unsettled = set()  # files of which it is not known that the core watches them as their keys say
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def serves_all(self) -> bool:
        return self._waiting.serves_all

    @serves_all.setter
    def serves_all(self, value: bool) -> None:
        self._waiting.serves_all = value

    def register(self, fileobj, events, data=None) -> selectors.SelectorKey:
        # An interrupt may strike between any two steps of this and what follows.
        if self._unsettled:
            self._settle()
        key = super().register(fileobj, events, data)
        self._unsettled.add(key.fd)
        try:
            self._watch(key.fd, events)
        except BaseException:
            self.unregister(fileobj)
            raise
        self._unsettled.discard(key.fd)
        return key

    def unregister(self, fileobj) -> selectors.SelectorKey:
        fd = self._fileobj_lookup(fileobj)
        if fd not in self._fd_to_key:
            raise KeyError(f"{fileobj!r} is not registered")
        self._unsettled.add(fd)
        try:
            self._forget(fd)
        finally:
            key = super().unregister(fileobj)
        self._unsettled.discard(fd)
        return key

    def modify(self, fileobj, events, data=None) -> selectors.SelectorKey:
        if self._unsettled:
            self._settle()
        key = self._fd_to_key.get(self._fileobj_lookup(fileobj))
        if key is None:
            raise KeyError(f"{fileobj!r} is not registered")
        if events != key.events:
            if not events or events & ~(selectors.EVENT_READ | selectors.EVENT_WRITE):
                raise ValueError(f"Invalid events: {events!r}")
            self._unsettled.add(key.fd)
            try:
                _erlang.loop_change(self._loop, key.fd, events)
            except ProcessLookupError:  # the next select() has it watched again
                pass
        key = self._fd_to_key[key.fd] = key._replace(events=events, data=data)
        self._unsettled.discard(key.fd)
        return key

    def select(self, timeout: float | None = None) -> list:
        if self._unsettled:
            self._settle()
        _erlang.loop_rearm(self._loop)
        self._waiting.select(timeout)
        found = _erlang.loop_take(self._loop)
        if found is None:
            self._begin_again()
            return []
        keys = self._fd_to_key
        return [(key, events & key.events) for fd, events in found if (key := keys.get(fd)) is not None]

    def close(self) -> None:
        self._waiting.close()  # before what it waits for
        if self._loop is not None:
            _erlang.loop_close(self._loop)
        super().close()

    def _begin(self) -> None:
        """With a worker that is new, and no files."""
        loop = _erlang.loop_new()
        _erlang.call(START_WORKER, _erlang.loop_term(loop))
        if self._loop is not None:
            self._waiting.unregister(_erlang.loop_fd(self._loop))
        self._waiting.register(_erlang.loop_fd(loop), selectors.EVENT_READ)
        self._loop = loop

    def _begin_again(self) -> None:
        """Somebody has killed the worker."""
        self._unsettled.update(self._fd_to_key)
        self._begin()
        self._settle()

    def _settle(self) -> None:
        """Has the core watch what there are keys for, and nothing else."""
        for fd in list(self._unsettled):
            self._forget(fd)
            key = self._fd_to_key.get(fd)
            if key is not None:
                try:
                    _erlang.loop_watch(self._loop, fd, key.events)
                except (OSError, OverflowError):  # closed without being unregistered; or this worker is gone, too
                    pass
            self._unsettled.discard(fd)

    def _watch(self, fd: int, events: int) -> None:
        try:
            _erlang.loop_watch(self._loop, fd, events)
        except ProcessLookupError:
            if self.get_map() is None:
                raise ValueError("the selector is closed") from None
            # Its worker is gone. The next select() has all files watched again, and this one, too.

    def _forget(self, fd: int) -> None:
        try:
            _erlang.loop_forget(self._loop, fd)
        except (ProcessLookupError, OverflowError):  # it was not watched
            pass
