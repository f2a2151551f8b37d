"""Connections that belong together, and how they end."""

from __future__ import annotations

import typing  # noqa: F401  isort: skip  (before asyncio, as in _loop.py)

import asyncio
import threading
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ._server_sockets import _Connection


class _Arriving(asyncio.BaseProtocol):
    """Holds the place of a protocol until there is a transport that can be closed if it cannot be made."""

    __slots__ = ("_keeper", "_factory")

    def __init__(self, keeper: _Keeper, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        self._keeper = keeper
        self._factory = factory

    def connection_made(self, transport) -> None:
        self._keeper._arrived(transport, self._factory)


class _Keeper:
    """Some connections of a loop, which end with the loop: its task is then cancelled like all others."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._open: weakref.WeakValueDictionary[int, _Connection] = weakref.WeakValueDictionary()  # by descriptor
        self._stopping = False  # nothing new comes
        self._aborting = False  # and what is there goes
        self._closed = asyncio.Event()  # nothing new can come
        self._over = asyncio.Event()  # and nothing is there any more

    def _start(self) -> None:
        self._loop.create_task(self._keep()).add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._report("cannot serve", task.exception())
        self._release()
        self._closed.set()
        self._over.set()

    def _release(self) -> None:
        """Close what is open at once: nothing is left to do, or no time, or no loop."""
        self._stopping = self._aborting = True
        for connection in list(self._open.values()):
            connection.keeper = None
            connection.close()
        self._open.clear()

    async def _keep(self) -> None:
        try:
            await self._over.wait()
        finally:
            self._stop(0)
            await self._over.wait()

    def _add(self, connection: _Connection) -> None:
        connection.keeper, connection.transport = self, None
        self._open[connection.fileno()] = connection

    def _arrived(self, transport, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        connection = self._open.get(transport.get_extra_info("socket").fileno())
        if connection is not None:
            connection.transport = transport
        if self._aborting:
            transport.abort()
            return
        protocol = None
        try:
            protocol = factory()
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
        except BaseException as error:
            transport.abort()
            self._report("a protocol could not be made, or did not take its connection", error, protocol, transport)

    def _report(self, what: str, error: BaseException, protocol=None, transport=None) -> None:
        context = {"message": f"{self}: {what}", "exception": error}
        if protocol is not None:
            context["protocol"] = protocol
        if transport is not None:
            context["transport"] = transport
        self._loop.call_exception_handler(context)

    def _gone(self, fd: int) -> None:
        self._open.pop(fd, None)
        self._look()

    def _look(self) -> None:
        if self._closed.is_set() and not self._open:
            self._over.set()

    def _stop(self, timeout: float | None) -> None:
        """Take no more; abort what is there after so many seconds, if it is said how many."""
        if not self._stopping:
            self._stopping = True
            # Connections that asyncio has accepted have their transports by then.
            self._loop.call_soon(self._close)
        if timeout is not None:
            if timeout > 0:
                self._loop.create_task(self._abort_after(timeout))
            else:
                self._abort()

    def _close(self) -> None:
        self._closed.set()
        self._look()

    async def _abort_after(self, timeout: float) -> None:
        try:
            await asyncio.wait_for(self._over.wait(), timeout)
        except TimeoutError:
            self._abort()

    def _abort(self) -> None:
        self._aborting = True
        for connection in list(self._open.values()):
            if connection.transport is not None:
                connection.transport.abort()
