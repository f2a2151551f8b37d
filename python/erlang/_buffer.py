"""Buffers: bytes that Erlang writes (py_buffer) and Python reads as it reads a file. Needs the plugin `channel`."""

from __future__ import annotations

from io import SEEK_SET, UnsupportedOperation
from operator import index

from _erlang import PENDING, BufferHandle, PluginError, plugin_function, plugin_wait

from .plugins import wait_async

__all__ = ["PyBuffer"]

_check = plugin_function("channel", "buffer_check", 1)
_of_bytes = plugin_function("channel", "buffer_of_bytes", 1)
_read = plugin_function("channel", "buffer_read", 2)
_read_now = plugin_function("channel", "buffer_read_now", 2)
_read_line = plugin_function("channel", "buffer_read_line", 2)
_seek = plugin_function("channel", "buffer_seek", 3)
_find = plugin_function("channel", "buffer_find", 4)
_view = plugin_function("channel", "buffer_view", 1)
_state = plugin_function("channel", "buffer_state", 1)
_shut = plugin_function("channel", "buffer_shut", 1)

_MOST = (1 << 62) - 1  # more than there is memory


class PyBuffer(BufferHandle):
    """A buffer made by py_buffer:new/0,1; what its reference becomes in Python. Any thread, any asyncio loop.

    A binary file to be read: bytes that were written wait to be read once, at the one position that all who read share.
    What was read stays in memory and can be read again after seek().

    As an object with the buffer protocol, and to len() and find(), it is what has not been read yet. A memoryview of it
    is read-only, copies nothing and stays valid whatever becomes of the buffer; but what is written later is not in it,
    and as long as it is there, nothing can be written that the memory has no room for.
    """

    __slots__ = ()

    def __init__(self, ref: object) -> None:
        """ref: what py_buffer:new/0,1 returned. TypeError: it is something else."""
        try:
            _check(self)
        except TypeError:
            raise TypeError(f"PyBuffer() takes what py_buffer:new() has made, which {ref!r} is not") from None

    @classmethod
    def _test_create(cls, data: bytes) -> PyBuffer:
        """A buffer with these bytes and no more to come, for tests."""
        return _of_bytes(_bytes_like(data))

    # What takes a timeout waits for so many seconds at most, then raises TimeoutError and has read nothing.

    def read(self, size: int | None = -1, timeout: float | None = None) -> bytes:
        """Up to `size` bytes; waits while there are none. b"": there will be none.

        Without a size it is all that there is; of a buffer whose content length is known, all that there will be.
        """
        return self._get(_read, size, timeout)

    def read1(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes of those that are there; waits while there are none."""
        size = _number(size)
        return self._get(_read, _MOST if size < 0 else size, None)

    def readinto(self, target: bytearray | memoryview) -> int:
        """Read as many bytes as are there and have room in `target`; waits while there are none."""
        with memoryview(target).cast("B") as view:
            if view.readonly:
                raise TypeError("readinto() takes memory that can be written to")
            data = self._get(_read, len(view), None)
            view[: len(data)] = data
            return len(data)

    def read_nonblock(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes of those that are there. b"": there are none now."""
        return self._try(_read_now, _number(size))

    def readline(self, size: int | None = -1, timeout: float | None = None) -> bytes:
        """The bytes up to the next newline, and that; no more than `size`. Waits for it, or for the end."""
        return self._get(_read_line, size, timeout)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """All lines up to the end, or as many as have `hint` bytes."""
        lines = []
        total = 0
        hint = _number(hint)
        for line in self:
            lines.append(line)
            total += len(line)
            if 0 < hint <= total:
                break
        return lines

    async def async_read(self, size: int | None = -1, timeout: float | None = None) -> bytes:
        """As read(), while the event loop goes on."""
        return await self._get_async(_read, size, timeout)

    async def async_readline(self, size: int | None = -1, timeout: float | None = None) -> bytes:
        """As readline(), while the event loop goes on."""
        return await self._get_async(_read_line, size, timeout)

    def readable_amount(self) -> int:
        """How many bytes can be read now."""
        return self._open_state()[0]

    def at_eof(self) -> bool:
        """Whether all has been read, and nothing more will be written."""
        unread, _, ended, _ = self._open_state()
        return ended and unread == 0

    def tell(self) -> int:
        """How many bytes are before the one that is read next."""
        return self._open_state()[1]

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Read on elsewhere, among the bytes that have been written. The new position.

        Raises:
            ValueError: nothing has been written there. It is an OSError, too, as that of other files, where counting
                back comes to a place before the first byte.
            io.UnsupportedOperation: it is counted from the end (SEEK_END), and that has not come yet.
        """
        offset, whence = index(offset), index(whence)
        if not 0 <= whence <= 2:
            raise ValueError(f"whence is 0, 1 or 2, not {whence}")
        try:
            return _seek(self, _number(offset), whence)
        except PluginError as error:
            before = error.args[0] == "out_of_range" and whence != SEEK_SET and offset < 0
            raise _raised("before_it" if before else error.args[0]) from None

    def find(self, sub: bytes | int, start: int | None = 0, end: int | None = None) -> int:
        """Where `sub` begins among the bytes that can be read now, counted from the next one; -1: nowhere.

        It can only lie between `start` and `end`, which mean what they mean to bytes.find().
        """
        what = bytes((sub,)) if isinstance(sub, int) else _bytes_like(sub)
        return self._try(_find, what, 0 if start is None else _number(start), _MOST if end is None else _number(end))

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def flush(self) -> None:
        """Does nothing: there is nothing to be written."""

    @property
    def closed(self) -> bool:
        """Whether Python has closed it. That Erlang has is the end of the file: see at_eof()."""
        return _state(self)[3]

    def close(self) -> None:
        """Nothing more can be read, nor written. Any number of times."""
        _shut(self)

    def __len__(self) -> int:
        return self._open_state()[0]

    def __bool__(self) -> bool:
        return True  # as other files, also while it has nothing: `environ.get("wsgi.input") or ...`

    def __enter__(self) -> PyBuffer:
        self._open_state()
        return self

    def __exit__(self, *_raised: object) -> None:
        _shut(self)

    def __iter__(self) -> PyBuffer:
        return self

    def __next__(self) -> bytes:
        try:
            line = _read_line(self, -1)
        except PluginError as error:
            raise _raised(error.args[0]) from None
        if line is PENDING:
            line = self._get(_read_line, -1, None)
        if not line:
            raise StopIteration
        return line

    def __aiter__(self) -> PyBuffer:
        return self

    async def __anext__(self) -> bytes:
        line = await self._get_async(_read_line, -1, None)
        if not line:
            raise StopAsyncIteration
        return line

    def _export(self) -> memoryview:
        return self._try(_view)

    def _open_state(self) -> tuple[int, int, bool, bool]:
        """Bytes to be read, position, whether Erlang has closed it, and False."""
        state = _state(self)
        if state[3]:
            raise _raised("closed")
        return state

    def _try(self, function: object, *args: object) -> object:
        try:
            return function(self, *args)
        except PluginError as error:
            raise _raised(error.args[0]) from None

    def _get(self, function: object, size: int | None, timeout: float | None) -> bytes:
        if type(size) is not int or not -1 <= size <= _MOST:
            size = _number(size)
        try:
            data = function(self, size)
            if data is PENDING:
                data = plugin_wait(function, timeout, self, size)
        except PluginError as error:
            raise _raised(error.args[0]) from None
        if data is PENDING:
            raise TimeoutError(f"the buffer had not enough bytes within {timeout} seconds")
        return data

    async def _get_async(self, function: object, size: int | None, timeout: float | None) -> bytes:
        size = _number(size)
        data = self._try(function, size)
        if data is not PENDING:
            return data
        try:
            return await wait_async(function, self, size, timeout=timeout)
        except PluginError as error:
            raise _raised(error.args[0]) from None


def _number(value: int | None) -> int:
    """What stands for it in Erlang: None is -1, as in other files."""
    if type(value) is not int:
        value = -1 if value is None else int(index(value))
    return max(-_MOST, min(value, _MOST))


def _bytes_like(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return bytes(memoryview(value))
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not {type(value).__name__!r}") from None


_PROBLEMS = {
    "closed": (ValueError, "I/O operation on closed file"),
    "not_ended": (UnsupportedOperation, "where the end is, is known when Erlang has closed the buffer"),
    "out_of_range": (ValueError, "nothing has been written there"),
    "before_it": (UnsupportedOperation, "that is before the first byte"),
    "out_of_memory": (MemoryError, "there is no memory for this"),
}


def _raised(reason: object) -> Exception:
    kind, text = _PROBLEMS.get(reason, (RuntimeError, f"the buffer failed: {reason}"))
    return kind(text)
