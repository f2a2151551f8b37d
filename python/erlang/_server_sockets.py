"""The sockets of servers: they say when they are closed, and accept in their own way."""

from __future__ import annotations

import errno
import os
import socket
import time

# How many connections are accepted before the loop sees to anything else. Few, so that others who accept from the same
# queue get their share.
_ACCEPTS = 16

_OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_LISTENS_NO_MORE = {errno.EINVAL, errno.EBADF, errno.ENOTSOCK}
# What asyncio waits after it has run out of them, and a little less.
_PAUSE = 0.9


class _Connection(socket.socket):
    """Says when it is closed, which transports do when they have told their protocol."""

    __slots__ = ("keeper", "transport")

    def close(self) -> None:
        fd = self.fileno()
        super().close()
        self.transport = None
        keeper, self.keeper = getattr(self, "keeper", None), None
        if keeper is not None:
            keeper._gone(fd)

    def __del__(self) -> None:
        # It had no transport, or one that was given up; on the thread that happens to collect the garbage.
        keeper = getattr(self, "keeper", None)
        if keeper is not None and not keeper._loop.is_closed():
            super().close()
            try:
                keeper._loop.call_soon_threadsafe(keeper._look)
            except RuntimeError:
                pass  # closed meanwhile


class _Shared(_Connection):
    """Erlang has it, too. Whether it blocks is set for both, and Erlang's module `socket` has it block to close it."""

    __slots__ = ()

    def recv(self, size: int, flags: int = 0) -> bytes:
        return super().recv(size, flags | socket.MSG_DONTWAIT)

    def recv_into(self, buffer, size: int = 0, flags: int = 0) -> int:
        return super().recv_into(buffer, size, flags | socket.MSG_DONTWAIT)

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, object]:
        return super().recvfrom(size, flags | socket.MSG_DONTWAIT)

    def send(self, data, flags: int = 0) -> int:
        return super().send(data, flags | socket.MSG_DONTWAIT)

    def sendmsg(self, buffers, ancillary=(), flags: int = 0) -> int:
        return super().sendmsg(buffers, ancillary, flags | socket.MSG_DONTWAIT)

    def sendto(self, data, address) -> int:
        return super().sendto(data, socket.MSG_DONTWAIT, address)


class _Listener(socket.socket):
    """Accepts for a server. It listens already."""

    __slots__ = ("server", "_paused_until")

    def listen(self, backlog: int = 0) -> None:
        """Erlang has done so, with a backlog of its choice."""

    def accept(self) -> tuple[_Connection, object]:
        if self.server._stopping or time.monotonic() < getattr(self, "_paused_until", 0):
            raise BlockingIOError
        try:
            self.setblocking(False)  # again: see _Shared
            accepted, address = super().accept()
        except OSError as error:
            if error.errno in _OUT_OF_RESOURCES:
                self._paused_until = time.monotonic() + _PAUSE  # or asyncio would try on, and log as often
            elif error.errno in _LISTENS_NO_MORE:
                self.server._broken(error)
                raise BlockingIOError from None
            raise
        connection = _Connection(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.server._add(connection)
        return connection, address


def _duplicate(fd: int, make: type[socket.socket]) -> socket.socket:
    if not isinstance(fd, int) or isinstance(fd, bool):
        raise TypeError(f"the number of a file descriptor is expected, as inet:getfd/1 gives, not {type(fd).__name__}")
    try:
        copy = os.dup(fd)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or errno.EBADF
        raise OSError(number, f"file descriptor {fd} cannot be duplicated: {os.strerror(number)}") from None
    try:
        sock = make(fileno=copy)
    except BaseException as error:
        os.close(copy)
        if isinstance(error, OSError):
            raise OSError(error.errno, f"file descriptor {fd} is not a socket: {error.strerror}") from None
        raise
    sock.setblocking(False)
    return sock


def _listens(sock: socket.socket) -> bool:
    try:
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0
    except OSError:  # a system that does not say
        try:
            sock.getpeername()
        except OSError:
            return True
        return False


def _kind(sock: socket.socket) -> str:
    kinds = {socket.SOCK_STREAM: "a stream socket", socket.SOCK_DGRAM: "a datagram socket"}
    return kinds.get(sock.type, f"a socket of type {sock.type}")
