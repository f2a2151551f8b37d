"""What py_stream runs in a context: iterating, some items at a time. For the context's thread."""

from __future__ import annotations

from time import monotonic

import _erlang

# A step lets other requests of the context in after so many seconds.
_TURN = 0.005

_PY_STREAM = _erlang.atom("py_stream")
_DATA = _erlang.atom("data")
_END = object()


class _Awaited:
    """An asynchronous iterator as one that does not need an event loop around it."""

    def __init__(self, iterator):
        import asyncio

        self._iterator = iterator
        self._loop = asyncio.new_event_loop()

    def __iter__(self):
        return self

    def __next__(self):
        item, error = self._loop.run_until_complete(self._following())
        if item is _END:
            self.close()
            try:
                raise StopIteration if error is None else error
            finally:
                del error
        return item

    async def _following(self):
        # What it raises is not let through: a task that has failed is part of a cycle, and would hold this stack, with
        # the stream in it, until that is collected.
        try:
            return await self._iterator.__anext__(), None
        except StopAsyncIteration:
            return _END, None
        except Exception as error:
            return _END, error

    def close(self):
        """Runs what the iterator has to clean up. Any number of times."""
        if self._loop.is_closed():
            return
        try:
            if hasattr(self._iterator, "aclose"):
                self._loop.run_until_complete(self._iterator.aclose())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()


def begin(result):
    """The iterator over what a function returned. TypeError: it cannot be iterated over."""
    if hasattr(result, "__aiter__"):
        return _Awaited(result.__aiter__())
    return iter(result)


def collect(result):
    """All items."""
    return list(begin(result))


def step(items, stream, owner):
    """Sends items to the owner until its turn is over. Says why it stopped."""
    until = monotonic() + _TURN
    while monotonic() < until:
        try:
            credit = _erlang.store_add(stream, "credit", -1)
            if credit < 0:
                _erlang.store_add(stream, "credit", 1)
                return "wait"
        except ValueError:  # it was destroyed
            return "cancelled"
        try:
            item = next(items)
        except StopIteration:
            return "done"
        try:
            _erlang.send(owner, (_PY_STREAM, stream, (_DATA, item)))
        except _erlang.ProcessError:
            return "owner"
    return "more"


def close(items):
    """Ends an iterator that is not wanted any more."""
    if hasattr(items, "close"):
        items.close()
