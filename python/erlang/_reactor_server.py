"""reactor.serve(): protocols of a reactor on an event loop, where Erlang has no part in it."""

from __future__ import annotations

import typing  # noqa: F401  isort: skip  (before asyncio, as in _loop.py)

import asyncio
import os
import socket

from . import reactor
from ._loop import run
from .reactor import _CLOSE, _CLOSED, _READ, _WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["serve"]


def serve(sock: socket.socket, factory: Callable[[], reactor.Protocol]) -> None:
    """See reactor.serve()."""
    run(_serve(sock, factory))


async def _serve(sock: socket.socket, factory: Callable[[], reactor.Protocol]) -> None:
    loop = asyncio.get_running_loop()
    connections: set[_Connection] = set()
    with socket.socket(fileno=os.dup(sock.fileno())) as listener:
        listener.setblocking(False)
        try:
            while True:
                accepted, address = await loop.sock_accept(listener)
                info = {"type": "unix"}
                if isinstance(address, tuple):
                    info = {"type": "tcp", "addr": address[0], "port": address[1]}
                _Connection(loop, connections, accepted, info, factory)
        finally:
            for connection in list(connections):
                connection.end()


class _Connection:
    """A connection that the loop watches."""

    def __init__(self, loop, connections: set[_Connection], sock: socket.socket, info: dict, factory) -> None:
        self.loop = loop
        self.connections = connections
        self.sock = sock
        self.watched = 0
        self.protocol: reactor.Protocol | None = None
        connections.add(self)
        fd = sock.fileno()
        try:
            file, _, number = reactor._open(fd)
            self.protocol = reactor._adopt(fd, number, file, self.told, info, None, factory)
        except Exception:
            self.act(reactor._traceback())
        else:
            self.act(reactor._step(self.protocol, self.protocol.connection_made, (fd, info), _READ))

    def act(self, action: int | str) -> None:
        """What a protocol wants to happen next."""
        if isinstance(action, str):
            self.loop.call_exception_handler({"message": f"a protocol failed, and its connection was closed\n{action}"})
            action = _CLOSED
        if action != self.watched:
            if self.watched == _READ:
                self.loop.remove_reader(self.sock)
            elif self.watched == _WRITE:
                self.loop.remove_writer(self.sock)
            self.watched = action
            if action == _READ:
                self.loop.add_reader(self.sock, self.readable)
            elif action == _WRITE:
                self.loop.add_writer(self.sock, self.writable)
        if action == _CLOSED:
            self.connections.discard(self)
            self.protocol = None  # which refers to this
            self.sock.close()

    def readable(self) -> None:
        try:
            data = self.protocol.read()
        except BlockingIOError:
            return
        except ConnectionAbortedError:
            self.act(_CLOSED)
            return
        if data:
            self.act(reactor._readable(self.protocol._id, memoryview(data)))
        else:
            self.end()

    def writable(self) -> None:
        self.act(reactor._writable(self.protocol._id))

    def end(self) -> None:
        if self.watched != _CLOSED:
            self.act(reactor._lose(self.protocol) or _CLOSED)

    def told(self, protocol: reactor.Protocol, what: object) -> None:
        """Something happened to the protocol, on any thread."""
        self.loop.call_soon_threadsafe(self.end if what is _CLOSE else self.signalled)

    def signalled(self) -> None:
        if self.watched != _CLOSED:
            self.writable()
