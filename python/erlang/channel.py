"""Channels between Erlang and Python: py_channel (terms) and py_byte_channel (bytes). Any thread, any asyncio loop.

Messages go from anybody to anybody, each to one receiver, in the order of every sender. Needs the plugin `channel`.
"""

from __future__ import annotations

from _erlang import PENDING, Handle, PluginError, plugin_function, plugin_wait, send

from .plugins import wait_async

__all__ = ["ByteChannel", "ByteChannelClosed", "Channel", "ChannelClosed", "reply"]

_check = plugin_function("channel", "check", 2)
_close = plugin_function("channel", "close", 1)
_info = plugin_function("channel", "info", 1)
_send = plugin_function("channel", "send", 2)
_receive = plugin_function("channel", "receive", 1)
_send_bytes = plugin_function("channel", "send_bytes", 2)
_receive_bytes = plugin_function("channel", "receive_bytes", 1)


class ChannelClosed(Exception):
    """The channel was closed, and all that had been sent before has been received."""


class ByteChannelClosed(ChannelClosed):
    """The same for a channel of bytes."""


class _Channel(Handle):
    """What both kinds have in common. Equal when Erlang knows them by one reference; comes back to Erlang as that."""

    __slots__ = ()
    _holds_bytes = False
    _closed_error = ChannelClosed

    def __init__(self, ref: object) -> None:
        """ref: what new/0,1 of py_channel or py_byte_channel returned. TypeError: it is no channel of this kind."""
        _check(self, self._holds_bytes)

    def close(self) -> None:
        """Nothing more can be sent; whoever waits is woken. Any number of times."""
        _close(self)

    def info(self) -> dict:
        """Bytes in line ("size"), how many may be ("max_size", 0: any number), and whether it was closed ("closed")."""
        return _info(self)

    @property
    def closed(self) -> bool:
        """Whether it was closed. There may be something left to be received."""
        return _info(self)["closed"]

    def __enter__(self):
        return self

    def __exit__(self, *_raised: object) -> None:
        _close(self)

    def __iter__(self):
        return self

    def __aiter__(self):
        return self

    def _failed(self, error: PluginError) -> Exception:
        if error.args[0] == "closed":
            return self._closed_error("the channel is closed")
        if error.args[0] == "too_large":
            return ValueError("the message is larger than the channel's max_size")
        return error

    def _try(self, function, *args: object) -> object:
        try:
            return function(self, *args)
        except PluginError as error:
            raise self._failed(error) from None

    def _wait(self, function, timeout: float | None, *args: object) -> object:
        try:
            result = plugin_wait(function, timeout, self, *args)
        except PluginError as error:
            raise self._failed(error) from None
        if result is PENDING:
            raise TimeoutError(f"nothing happened on the channel within {timeout} seconds")
        return result

    async def _wait_async(self, function, timeout: float | None, *args: object) -> object:
        try:
            return await wait_async(function, self, *args, timeout=timeout)
        except PluginError as error:
            raise self._failed(error) from None


class Channel(_Channel):
    """A channel of terms, made by py_channel:new/0,1."""

    __slots__ = ()

    def receive(self, timeout: float | None = None) -> object:
        """The next message; waits for it, for so many seconds at most, or as long as it takes.

        Raises:
            ChannelClosed: there will be none.
            TimeoutError: there was none in time.
        """
        try:
            message = _receive(self)
        except PluginError as error:
            raise self._failed(error) from None
        return self._wait(_receive, timeout) if message is PENDING else message

    def try_receive(self) -> object:
        """The next message, or None when there is none now. ChannelClosed: there will be none."""
        message = self._try(_receive)
        return None if message is PENDING else message

    async def async_receive(self, timeout: float | None = None) -> object:
        """As receive(), while the event loop goes on."""
        message = self._try(_receive)
        return await self._wait_async(_receive, timeout) if message is PENDING else message

    def send(self, message: object, timeout: float | None = None) -> None:
        """Send a message; waits for room, for so many seconds at most, or as long as it takes.

        Raises:
            ChannelClosed: nothing more can be sent.
            TimeoutError: there was no room in time.
            ValueError: it is larger than the channel allows.
        """
        if self._try(_send, message) is PENDING:
            self._wait(_send, timeout, message)

    def try_send(self, message: object) -> bool:
        """Send a message, unless there is no room for it now. ChannelClosed: nothing more can be sent."""
        return self._try(_send, message) is not PENDING

    async def async_send(self, message: object, timeout: float | None = None) -> None:
        """As send(), while the event loop goes on."""
        if self._try(_send, message) is PENDING:
            await self._wait_async(_send, timeout, message)

    def __next__(self) -> object:
        try:
            message = _receive(self)
        except PluginError as error:
            if error.args[0] == "closed":
                raise StopIteration from None
            raise
        if message is PENDING:
            try:
                return self._wait(_receive, None)
            except ChannelClosed:
                raise StopIteration from None
        return message

    async def __anext__(self) -> object:
        try:
            return await self.async_receive()
        except ChannelClosed:
            raise StopAsyncIteration from None


def _bytes_like(data: object) -> object:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"a channel of bytes takes bytes, a bytearray or a memoryview, not {type(data).__name__}")
    return data


class ByteChannel(_Channel):
    """A channel of bytes, made by py_byte_channel:new/0,1. What was sent at once comes at once."""

    __slots__ = ()
    _holds_bytes = True
    _closed_error = ByteChannelClosed

    def receive_bytes(self, timeout: float | None = None) -> bytes:
        """The next bytes; waits for them, for so many seconds at most, or as long as it takes.

        Raises:
            ByteChannelClosed: there will be none.
            TimeoutError: there were none in time.
        """
        data = self._try(_receive_bytes)
        return self._wait(_receive_bytes, timeout) if data is PENDING else data

    def try_receive_bytes(self) -> bytes | None:
        """The next bytes, or None when there are none now. ByteChannelClosed: there will be none."""
        data = self._try(_receive_bytes)
        return None if data is PENDING else data

    async def async_receive_bytes(self, timeout: float | None = None) -> bytes:
        """As receive_bytes(), while the event loop goes on."""
        data = self._try(_receive_bytes)
        return await self._wait_async(_receive_bytes, timeout) if data is PENDING else data

    def send_bytes(self, data: bytes | bytearray | memoryview, timeout: float | None = None) -> None:
        """Send bytes; waits for room, for so many seconds at most, or as long as it takes. Raises as Channel.send()."""
        if self._try(_send_bytes, _bytes_like(data)) is PENDING:
            self._wait(_send_bytes, timeout, data)

    def try_send_bytes(self, data: bytes | bytearray | memoryview) -> bool:
        """Send bytes, unless there is no room for them now."""
        return self._try(_send_bytes, _bytes_like(data)) is not PENDING

    async def async_send_bytes(self, data: bytes | bytearray | memoryview, timeout: float | None = None) -> None:
        """As send_bytes(), while the event loop goes on."""
        if self._try(_send_bytes, _bytes_like(data)) is PENDING:
            await self._wait_async(_send_bytes, timeout, data)

    def __next__(self) -> bytes:
        try:
            return self.receive_bytes()
        except ByteChannelClosed:
            raise StopIteration from None

    async def __anext__(self) -> bytes:
        try:
            return await self.async_receive_bytes()
        except ByteChannelClosed:
            raise StopAsyncIteration from None


def reply(pid: object, message: object) -> None:
    """Send a message to a process of Erlang, such as the one that a message of a channel names. See erlang.send()."""
    send(pid, message)
