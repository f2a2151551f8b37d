"""reactor.serve(): protocols of a reactor on an event loop, where Erlang has no part in it."""

from __future__ import annotations

import typing  # noqa: F401  isort: skip  (before asyncio, as in _loop.py)

import asyncio
import errno
import os
import socket

from . import reactor
from ._loop import run
from ._reactor_connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["serve"]

# Why there may be no connection this time: it was over before it was accepted, or there is no room.
_GONE = {errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH}
_PASSING = _GONE | {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_PAUSE = 1.0  # seconds


def serve(sock: socket.socket, factory: Callable[[], reactor.Protocol]) -> None:
    """See reactor.serve()."""
    run(_serve(sock, factory))


async def _serve(sock: socket.socket, factory: Callable[[], reactor.Protocol]) -> None:
    loop = asyncio.get_running_loop()
    connections: set[Connection] = set()

    def ended(connection: Connection, text: str | None) -> None:
        connections.discard(connection)
        if text:
            loop.call_exception_handler({"message": text})

    def begin(accepted: socket.socket, address: object) -> None:
        with accepted:
            connection = Connection(loop, reactor._open_file(accepted.fileno()), ended)
        connections.add(connection)
        info = {"type": "unix"}
        if isinstance(address, tuple):
            info = {"type": "tcp", "addr": address[0], "port": address[1]}
        connection.begin(info, _no_app, factory)

    with socket.socket(fileno=os.dup(sock.fileno())) as listener:
        listener.setblocking(False)
        try:
            while True:
                try:
                    begin(*await loop.sock_accept(listener))
                except OSError as error:
                    if error.errno not in _PASSING:
                        raise
                    # What is full may stay so for a while, and the listener is readable all the time.
                    if error.errno not in _GONE:
                        loop.call_exception_handler({"message": "a connection was not accepted", "exception": error})
                        await asyncio.sleep(_PAUSE)
        finally:
            while connections:
                next(iter(connections)).end()


def _no_app() -> None:
    return None
