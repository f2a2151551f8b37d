"""Protocols on file descriptors that Erlang hands over: py_reactor_context. Needs the plugin `reactor`.

    from erlang import reactor

    class Echo(reactor.Protocol):
        def data_received(self, data):
            self.write_buffer.extend(data)
            return "write_pending"

    reactor.set_protocol_factory(Echo)

Protocols run on the thread of the context that their connection was handed to. What methods of theirs return says what
comes next:

    "continue"       more of the same; None is the same
    "read_pending"   data_received(), when there is something
    "write_pending"  write_ready(), when there is room
    "async_pending"  nothing, until signal_write_ready() is called
    "close"          connection_lost()

A protocol that raises an exception ends its own connection, and no other; Erlang's log has the traceback.
"""

from __future__ import annotations

import errno
import os

from _erlang import Interrupted, PluginError, plugin_function

from ._reactor_buffer import ReactorBuffer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ._reactor_connection import Connection

__all__ = [
    "Protocol",
    "ReactorBuffer",
    "close_connection",
    "get_protocol",
    "init_connection",
    "on_read_ready",
    "on_write_ready",
    "serve",
    "set_protocol_factory",
    "signal_write_ready",
]

_open = plugin_function("reactor", "open", 1)
_read = plugin_function("reactor", "read_bytes", 2)
_read_ready = plugin_function("reactor", "read", 1)
_write = plugin_function("reactor", "write", 2)
_write_large = plugin_function("reactor", "write_large", 2)
_close = plugin_function("reactor", "close", 1)
_is_open = plugin_function("reactor", "is_open", 1)

# Bytes that are written while other threads of Python wait, and how many at once at most.
_SMALL = 16384
_LARGE = 262144
# How many are read at once at most.
_MOST = 1 << 20
_AS_THEY_ARE = (bytes, bytearray)
# How many of those an event writes before others have their turn.
_WRITES = 4

# What a connection is told.
_READ, _WRITE, _WAIT, _CLOSED = 1, 2, 3, 4
_ACTIONS = {"read_pending": _READ, "write_pending": _WRITE, "async_pending": _WAIT, "close": _CLOSED}
_SIGNAL, _CLOSE = "signal", "close"

_factory: Callable[[], Protocol] | None = None
# The connections of this interpreter. A descriptor's number may be used again, an id is not. Any thread; without a
# lock, which an interrupt might leave taken: who takes an id out of the second one has the connection to end.
_by_fd: dict[int, Protocol] = {}
_by_id: dict[int, Protocol] = {}


class Protocol:
    """One connection. Subclasses override what they need, data_received() in any case."""

    fd: int = -1
    client_info: dict = {}
    closed: bool = False
    app: object = None  # what the reactor's options app_module and app_callable name
    _file: object = None
    _id: int = 0
    _owner: Connection | None = None  # None: it is driven by hand
    _signalled: bool = False  # write_ready() will be called
    _broken: bool = False  # the other side is gone, which is no fault of the protocol

    def __init__(self) -> None:
        self.write_buffer = bytearray()

    def connection_made(self, fd: int, client_info: dict) -> str | None:
        """It begins; the attributes fd and client_info are set already. May return an action."""
        self.fd = fd
        self.client_info = client_info

    def data_received(self, data: ReactorBuffer) -> str | None:
        """Something was read: bytes of a stream, or one datagram. Returns an action."""
        raise NotImplementedError(f"{type(self).__name__} has no data_received()")

    def write_ready(self) -> str | None:
        """There may be room to write. Returns an action. This one writes what is in write_buffer."""
        buffer = self.write_buffer
        for _ in range(_WRITES):
            if not buffer:
                return "read_pending"
            written = self.write(buffer)
            if written == 0:
                break
            del buffer[:written]
        return "continue" if buffer else "read_pending"

    def connection_lost(self) -> None:
        """It has ended, whoever ended it."""

    def read(self, size: int = 65536) -> bytes:
        """What there is to be read, b"" at the end or after an error. BlockingIOError: there is nothing now."""
        file = self._file
        if file is None:
            raise _closed()
        if size < 1:
            raise ValueError(f"the number of bytes to read has to be positive, not {size!r}")
        try:
            return _read(file, min(size, _MOST))
        except PluginError as error:
            if error.args[0] == errno.EAGAIN:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
            return b""

    def write(self, data: bytes | bytearray | memoryview | ReactorBuffer) -> int:
        """Write as much as there is room for, and return how many bytes that is. Never waits.

        A datagram is written at once or not at all, to the peer, or else to the sender of the last one read; if they
        cannot be reached it is lost. OSError: it cannot be written; the protocol need not handle it.
        """
        file = self._file
        if file is None:
            raise _closed()
        if isinstance(data, bytearray):  # other threads may add to it, which nobody can while it is looked at
            data = data[:_LARGE]
        try:
            if type(data) in _AS_THEY_ARE and len(data) <= _SMALL:
                return _write(file, data)
            with memoryview(data) as view, view.cast("B") as whole:
                if len(whole) <= _SMALL:
                    return _write(file, whole)
                with whole[:_LARGE] as part:
                    return _write_large(file, part)
        except PluginError as error:
            code = error.args[0]
            if not isinstance(code, int):
                raise
            self._broken = True
            raise OSError(code, os.strerror(code)) from None


def _closed() -> OSError:
    return ConnectionAbortedError(errno.ECONNABORTED, "the connection is closed")


def set_protocol_factory(factory: Callable[[], Protocol]) -> None:
    """What makes the protocols of new connections, in all reactor contexts of this interpreter."""
    global _factory
    if not callable(factory):
        raise TypeError(f"a protocol factory is a class or a function, not {factory!r}")
    _factory = factory


def get_protocol(fd: int) -> Protocol | None:
    """The protocol of a connection, by its number."""
    return _by_fd.get(fd)


def signal_write_ready(fd: int) -> bool:
    """Have write_ready() of a connection called, on any thread: after "async_pending", or when there is news to send.

    False: there is no such connection.
    """
    protocol = _by_fd.get(fd)
    if protocol is None:
        return False
    if not protocol._signalled:  # one message is enough until it has been acted upon
        protocol._signalled = True
        if not _tell(protocol, _SIGNAL):
            protocol._signalled = False
            return False
    return True


def init_connection(fd: int, client_info: dict) -> Protocol:
    """Begin a connection by hand, on a duplicate of a descriptor, for on_read_ready() and on_write_ready()."""
    file, _, number = _open_file(fd)
    protocol = _adopt(fd, number, file, None, client_info, None)
    try:
        protocol.connection_made(fd, client_info)
    except BaseException:
        _forget(protocol)
        raise
    return protocol


def on_read_ready(fd: int, data: bytes | ReactorBuffer | None = None) -> str:
    """Give a connection what was read; without data, read it here. Returns the action."""
    protocol = _by_fd.get(fd)
    if protocol is None:
        return "close"
    if data is None:
        try:
            data = protocol.read()
        except BlockingIOError:
            return "continue"
        if not data:
            return "close"
    if not isinstance(data, ReactorBuffer):
        data = ReactorBuffer(memoryview(data))
    return protocol.data_received(data) or "continue"


def on_write_ready(fd: int) -> str:
    """Tell a connection that there is room. Returns the action."""
    protocol = _by_fd.get(fd)
    return "close" if protocol is None else protocol.write_ready() or "continue"


def close_connection(fd: int) -> None:
    """End a connection, on any thread: connection_lost() is called here and now."""
    protocol = _by_fd.get(fd)
    if protocol is not None and _forget(protocol):
        try:
            protocol.connection_lost()
        finally:
            protocol.fd = -1  # as in _lose()
            _tell(protocol, _CLOSE)


def serve(sock, factory: Callable[[], Protocol]) -> None:
    """Accept connections of a listening socket and run their protocols, until interrupted. Without Erlang's reactor:
    for a program that is all Python. The socket stays the caller's."""
    from ._reactor_server import serve

    serve(sock, factory)


# ----------------------------------------------------------------------------------------------------------------------
# Connections


def _open_file(fd: int) -> tuple:
    """A duplicate of a descriptor: its file, its number and an id."""
    try:
        return _open(fd)
    except PluginError as error:
        code = error.args[0]
        raise OSError(code, os.strerror(code)) from None


def _adopt(fd: int, number: int, file: object, owner, client_info: dict, app, factory=None) -> Protocol:
    factory = factory or _factory
    if factory is None:
        raise RuntimeError("there is no protocol factory; call erlang.reactor.set_protocol_factory() in this context")
    protocol = factory()
    if not isinstance(protocol, Protocol):
        raise TypeError(f"a protocol factory makes instances of erlang.reactor.Protocol, not {protocol!r}")
    if not hasattr(protocol, "write_buffer"):  # a subclass has an __init__ of its own
        protocol.write_buffer = bytearray()
    protocol.fd = fd
    protocol.client_info = client_info
    protocol.app = app
    protocol._file, protocol._id, protocol._owner = file, number, owner
    stale = _by_fd.get(fd)
    if stale is not None:  # somebody has closed its descriptor
        _lose(stale)
        _tell(stale, _CLOSE)
    _by_id[number] = _by_fd[fd] = protocol  # this one first: Erlang has it ended by its id
    return protocol


def _forget(protocol: Protocol) -> bool:
    """Take a connection out. False: somebody else has."""
    if _by_id.pop(protocol._id, None) is None:
        return False
    if _by_fd.get(protocol.fd) is protocol:
        _by_fd.pop(protocol.fd, None)
    protocol.closed = True
    if protocol._owner is None:  # else it is watched, and must not be closed before that ends
        _close(protocol._file)
    protocol._file = None
    return True


def _tell(protocol: Protocol, what: str) -> bool:
    return protocol._owner is not None and protocol._owner.told(what)


def _lose(protocol: Protocol) -> str | None:
    """End a connection; the traceback of what went wrong, if it did."""
    if _forget(protocol):
        try:
            protocol.connection_lost()
        except Interrupted:
            raise
        except BaseException:  # an exit as well: others are to hear of their end, too
            return _traceback()
        finally:
            protocol.fd = -1  # the number is another's soon, whom threads that come too late must not hit
    return None


def _traceback() -> str:
    from traceback import format_exc

    return format_exc()


def _step(protocol: Protocol, method, args: tuple, goes_on: int) -> int | str:
    try:
        action = method(*args)
        if action == "write_pending" and goes_on == _READ and not protocol.closed:
            method, goes_on = protocol.write_ready, _WRITE  # there mostly is room
            action = method()
    except BlockingIOError:
        return _CLOSED if protocol.closed else goes_on
    except Exception as error:
        text = None if protocol._broken and isinstance(error, ConnectionError) else _traceback()
        return "\n".join(filter(None, (text, _lose(protocol)))) or _CLOSED
    if action is None or action == "continue":
        code = goes_on
    else:
        try:
            code = _ACTIONS[action]
        except (KeyError, TypeError):
            text = f"ValueError: {method.__qualname__}() returned {action!r}, which is no action"
            return "\n".join(filter(None, (text, _lose(protocol))))
    if code == _CLOSED:
        return _lose(protocol) or _CLOSED
    return _CLOSED if protocol.closed else code
