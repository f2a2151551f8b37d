"""Counters that Erlang and Python share: the Python face of the plugin in counter.c."""

from __future__ import annotations

from erlang.plugins import Handle, function, wait, wait_async

_new = function("counter", "new", 0)
_add = function("counter", "add", 2)
_get = function("counter", "get", 1)
_wait_for = function("counter", "wait_for", 2)


class Counter(Handle):
    """What a reference to a counter becomes in Python; it goes back to Erlang as that reference."""

    __slots__ = ()

    def add(self, amount: int = 1) -> int:
        """Add, and return the sum. PluginError("overflow"): it would be too large."""
        return _add(self, amount)

    @property
    def value(self) -> int:
        return _get(self)

    def wait_for(self, target: int, timeout: float | None = None) -> int:
        """Sleep until the counter has reached the target. TimeoutError: it has not, within so many seconds."""
        return wait(_wait_for, self, target, timeout=timeout)

    async def wait_for_async(self, target: int, timeout: float | None = None) -> int:
        """The same for coroutines."""
        return await wait_async(_wait_for, self, target, timeout=timeout)


def new() -> Counter:
    return _new()
