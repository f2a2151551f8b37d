"""What a reactor has read, as bytes that were not copied."""

from __future__ import annotations

from _erlang import Exporter

__all__ = ["ReactorBuffer"]


class ReactorBuffer(Exporter):
    """Bytes in memory of Erlang's, read-only. Works like bytes, and wherever the buffer protocol is taken.

    Length, indexes, slices, comparisons, startswith() and endswith() work in place. The other methods of bytes work on
    a copy, which is made once, when the first of them is called; bytes(data) is that copy.
    """

    __slots__ = ("_copy", "_view")

    def __init__(self, view: memoryview) -> None:
        """view: contiguous bytes that do not change."""
        self._view = view
        self._copy: bytes | None = None

    @classmethod
    def _test_create(cls, data: bytes) -> ReactorBuffer:
        return cls(memoryview(bytes(data)))

    def _export(self) -> memoryview:
        return self._view

    def memoryview(self):
        """The bytes, without a copy; also after this object is gone."""
        return self._view

    def __bytes__(self) -> bytes:
        if self._copy is None:
            self._copy = self._view.tobytes()
        return self._copy

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, key):
        if isinstance(key, slice):
            return self._view[key].tobytes()
        return self._view[key]

    def __iter__(self):
        return iter(self._view)

    def __contains__(self, part) -> bool:
        return part in bytes(self)

    def __eq__(self, other) -> bool:
        if isinstance(other, ReactorBuffer):
            return self._view == other._view
        if isinstance(other, (bytes, bytearray, memoryview)):
            return self._view == other
        return NotImplemented

    def __lt__(self, other):
        return bytes(self) < bytes(other) if _is_bytes(other) else NotImplemented

    def __le__(self, other):
        return bytes(self) <= bytes(other) if _is_bytes(other) else NotImplemented

    def __gt__(self, other):
        return bytes(self) > bytes(other) if _is_bytes(other) else NotImplemented

    def __ge__(self, other):
        return bytes(self) >= bytes(other) if _is_bytes(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._view)

    def __add__(self, other) -> bytes:
        return bytes(self) + other if _is_bytes(other) else NotImplemented

    def __mul__(self, times: int) -> bytes:
        return bytes(self) * times

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"ReactorBuffer({bytes(self)!r})"

    def startswith(self, prefix, *bounds) -> bool:
        """As that of bytes."""
        if bounds or isinstance(prefix, tuple):
            return bytes(self).startswith(prefix, *bounds)
        return self._view[: len(prefix)] == prefix

    def endswith(self, suffix, *bounds) -> bool:
        """As that of bytes."""
        if bounds or isinstance(suffix, tuple):
            return bytes(self).endswith(suffix, *bounds)
        size = len(suffix)
        return size <= len(self._view) and self._view[len(self._view) - size :] == suffix

    def find(self, part, *bounds) -> int:
        """As that of bytes."""
        return bytes(self).find(part, *bounds)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The text that the bytes stand for. Without a copy of the bytes."""
        return str(self._view, encoding, errors)

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(bytes(self), name)


def _is_bytes(value) -> bool:
    return isinstance(value, (bytes, bytearray, memoryview, ReactorBuffer))
