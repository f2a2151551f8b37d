"""Servers on sockets that Erlang has bound, and connections that Erlang has accepted. On the thread of an event loop.

    from erlang import server

    def start(listen_fd):
        return server.serve(listen_fd, MyProtocol)

All of it works on duplicates: the descriptor one passes stays the caller's to close. Transports are asyncio's.
"""

from __future__ import annotations

import typing  # noqa: F401  isort: skip  (before asyncio, as in _loop.py)

import asyncio
import os
import socket
import threading
import weakref
from itertools import count

from . import _tasks
from ._server_keepers import _Arriving, _Keeper
from ._server_sockets import _ACCEPTS, _Connection, _duplicate, _kind, _Listener, _listens, _Shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Server", "adopt", "serve", "stop_serving"]

# Names are of one interpreter; those of another are told by it.
_own = f"server {os.urandom(6).hex()}"
_numbers = count(1)
_lock = threading.Lock()
_servers: weakref.WeakValueDictionary[str, Server] = weakref.WeakValueDictionary()


class Server(_Keeper):
    """What serve() has started. Its str() is the form in which Erlang gets it, and can pass it to stop_serving()."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: _Listener | _Connection, factory, udp: bool) -> None:
        super().__init__(loop)
        with _lock:
            self._name = f"{_own}.{next(_numbers)}"
        self._sock = sock
        self._udp = udp
        self._factory = factory
        self._accepting: asyncio.Server | None = None
        self._started = asyncio.Event()
        self._failure: BaseException | None = None
        _servers[self._name] = self
        if udp:
            self._add(sock)
        else:
            sock.server = self
        self._start()

    @property
    def name(self) -> str:
        return self._name

    @property
    def connections(self) -> int:
        """How many are open; of UDP always 0."""
        return 0 if self._udp else len(self._open)

    @property
    def serving(self) -> bool:
        return not self._stopping

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"<erlang.server.Server {self._name!r}>"

    def __await__(self):
        """Wait until it accepts. It need not be waited for."""
        yield from self._started.wait().__await__()
        if self._failure is not None:
            raise self._failure
        return self

    async def _keep(self) -> None:
        try:
            await self._begin()
        except Exception as error:
            self._failure = error
            self._stopping = True
            raise
        finally:
            self._started.set()
        await super()._keep()

    async def _begin(self) -> None:
        if self._stopping:
            return
        if self._udp:
            await self._loop.create_datagram_endpoint(lambda: _Arriving(self, self._factory), sock=self._sock)
            return
        self._accepting = await self._loop.create_server(
            lambda: _Arriving(self, self._factory), sock=self._sock, backlog=_ACCEPTS, start_serving=False
        )
        await self._accepting.start_serving()

    def _release(self) -> None:
        super()._release()
        self._close_listener()

    def _close_listener(self) -> None:
        if self._accepting is not None:
            self._accepting.close()
        elif not self._udp:
            self._sock.close()

    def _close(self) -> None:
        self._close_listener()
        if self._udp and self._sock.transport is not None:
            self._sock.transport.close()
        elif self._udp:
            self._aborting = True  # when it arrives
        super()._close()

    def _broken(self, error: OSError) -> None:
        self._report("it accepts no more, because its socket has stopped listening", error)
        self._stop(None)


# ---------------------------------------------------------------------------------------------------------------------


def serve(listen_fd: int, protocol_factory: Callable[[], asyncio.BaseProtocol], udp: bool = False) -> Server:
    """Serve what arrives at a listening stream socket, or with udp=True at a datagram socket, on this thread's loop.

    The factory is called for each connection, of UDP once, here. The server is there when this returns, accepts from
    the loop's next turn on (`await` it to have seen that), and ends with stop_serving() or with its loop.
    """
    loop = _find_loop("serve")
    _check_factory(protocol_factory)
    kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
    sock = _duplicate(listen_fd, _Shared if udp else _Listener)
    try:
        if sock.type != kind:
            if udp:
                expected = "with udp=True a datagram socket is expected"
            else:
                expected = "serve() expects a listening stream socket, or a datagram socket with udp=True"
            raise ValueError(f"file descriptor {listen_fd} is {_kind(sock)}; {expected}")
        if not udp and not _listens(sock):
            raise ValueError(f"file descriptor {listen_fd} is a stream socket that does not listen; see adopt()")
        factory = protocol_factory
        if udp:
            protocol = _make(protocol_factory, loop)

            def factory():
                return protocol

        return Server(loop, sock, factory, udp)
    except BaseException:
        sock.close()
        raise


def adopt(fd: int, protocol_factory: Callable[[], asyncio.BaseProtocol]) -> asyncio.Task | None:
    """Give a connection that somebody else has accepted, or made, a protocol on the loop of this thread.

    In a coroutine this returns a task whose result is the transport and the protocol; it need not be awaited. In a call
    between the callbacks of a running loop it returns None.
    """
    loop = _find_loop("adopt")
    _check_factory(protocol_factory)
    connection = _duplicate(fd, _Shared)
    try:
        if connection.type != socket.SOCK_STREAM:
            raise ValueError(f"file descriptor {fd} is {_kind(connection)}; adopt() expects a stream socket")
        if _listens(connection):
            raise ValueError(f"file descriptor {fd} is a listening socket; serve() takes those")
        try:
            connection.getpeername()
        except OSError as error:
            raise OSError(error.errno, f"file descriptor {fd} is not connected") from None
        protocol = _make(protocol_factory, loop)
        keeper = _adopted_of(loop)
        keeper._add(connection)
        task = loop.create_task(_adopting(keeper, connection, protocol))
    except BaseException:
        connection.close()
        raise
    return None if asyncio._get_running_loop() is None else task


def stop_serving(server: Server | str, timeout: float | None = None) -> asyncio.Future | None:
    """Accept no more, and close the duplicate of the socket. A server that has stopped may be stopped again.

    Without a timeout, connections go on until they or the loop end. With one, those that are open after so many seconds
    are aborted. In a coroutine the result can be awaited: until the socket is closed, and with a timeout until no
    connection is left. In a call between the callbacks of a running loop it is None.
    """
    if timeout is not None and not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout is expected in seconds, or None, not {timeout!r}")
    found = _find_server(server)
    running = asyncio._get_running_loop()
    if found is not None and found._loop.is_closed():
        found._release()
    elif found is not None and not found._over.is_set():
        if found._thread != threading.get_ident():
            raise RuntimeError(f"{found} runs on the loop of another thread: stop it there, in the context that serves")
        found._stop(timeout)
        if running is found._loop:
            awaited = found._closed if timeout is None and not found._udp else found._over
            return running.create_task(_until(awaited))
    if running is None:
        return None
    done = running.create_future()
    done.set_result(None)
    return done


# ---------------------------------------------------------------------------------------------------------------------


async def _until(event: asyncio.Event) -> None:
    await event.wait()


async def _adopting(keeper: _Keeper, connection: _Connection, protocol: asyncio.BaseProtocol):
    transport, _ = await keeper._loop.connect_accepted_socket(lambda: _Arriving(keeper, lambda: protocol), connection)
    return transport, protocol


class _Adopted(_Keeper):
    def __str__(self) -> str:
        return "an adopted connection"

    def _ended(self, task: asyncio.Task) -> None:
        super()._ended(task)
        if getattr(_thread, "adopted", None) is self:
            del _thread.adopted


_thread = threading.local()


def _adopted_of(loop: asyncio.AbstractEventLoop) -> _Keeper:
    """A thread seldom has another loop than the last time."""
    keeper = getattr(_thread, "adopted", None)
    if keeper is None or keeper._loop is not loop or keeper._stopping:
        keeper = _thread.adopted = _Adopted(loop)
        keeper._start()
    return keeper


def _find_loop(what: str) -> asyncio.AbstractEventLoop:
    loop = asyncio._get_running_loop() or _tasks.loop_of_this_thread()
    if loop is None:
        raise RuntimeError(
            f"{what}() needs an event loop on this thread: start one in the context with py_context:start_loop/1, or "
            f"call {what}() in a coroutine"
        )
    return loop


def _make(protocol_factory: Callable, loop: asyncio.AbstractEventLoop) -> asyncio.BaseProtocol:
    """On the loop, which protocols may look for: it is set aside where an ordinary request is served."""
    before = asyncio._get_running_loop()
    asyncio._set_running_loop(loop)
    try:
        return protocol_factory()
    finally:
        asyncio._set_running_loop(before)


def _find_server(server: Server | str) -> Server | None:
    """None: it is over."""
    if isinstance(server, Server):
        return server
    if not isinstance(server, str):
        raise TypeError(f"expected what serve() has returned, or its str(), not {type(server).__name__}")
    name, _, number = server.rpartition(".")
    if name != _own or not number.isdecimal():
        raise ValueError(f"{server!r} is no server of this interpreter: stop it in the context that serves")
    return _servers.get(server)


def _check_factory(protocol_factory: object) -> None:
    if not callable(protocol_factory):
        raise TypeError(
            f"protocol_factory is expected to be a class or a function without arguments, not "
            f"{type(protocol_factory).__name__}"
        )
