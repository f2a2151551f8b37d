"""Buffers beside what they have to be like, for buffers_SUITE: random operations on both, from a seed."""

import io
import random

import erlang
from _erlang import PluginError, plugin_function

_write = plugin_function("channel", "buffer_write", 2)
_end = plugin_function("channel", "buffer_end", 1)


def _content(rng, size):
    """Few different bytes, so that newlines and what find() looks for come up."""
    return bytes(rng.choices(b"ab\n\x00", weights=(10, 10, 2, 1), k=size))


def _outcome(function, *args):
    try:
        return function(*args)
    except ValueError:
        return ValueError


def _size(rng):
    return rng.choice((None, -1, 0, 1, 2, 3, 7, 20, 100, 10**30))


# One buffer whose end is known, and the BytesIO with the same bytes.


def _seek(rng, buffer, like, data):
    """A BytesIO goes beyond its end, and a buffer does not."""
    whence = rng.randrange(3)
    offset = rng.randrange(-len(data) - 3, len(data) + 4)
    target = offset + (0, like.tell(), len(data))[whence]
    if 0 <= target <= len(data):
        return buffer.seek(offset, whence), like.seek(offset, whence)
    return _outcome(buffer.seek, offset, whence), ValueError


def _find(rng, buffer, like, data):
    rest = data[like.tell() :]
    at = rng.randrange(len(rest) + 1)
    sub = rng.choice((rest[at : at + rng.randrange(4)], _content(rng, rng.randrange(4)), b"\n", 10, b""))
    bounds = [rng.choice((None, rng.randrange(-len(rest) - 3, len(rest) + 4), 10**30, -(10**30))) for _ in range(2)]
    bounds = bounds[: rng.randrange(3)]
    return buffer.find(sub, *bounds), rest.find(sub, *bounds)


def _readinto(rng, buffer, like, data):
    ours, theirs = (bytearray(rng.choice((0, 1, 5, 50))) for _ in range(2))
    theirs = bytearray(len(ours))
    return (buffer.readinto(ours), bytes(ours)), (like.readinto(theirs), bytes(theirs))


_OPERATIONS = {
    "read": lambda rng, buffer, like, data: (buffer.read(size := _size(rng)), like.read(_fitting(size))),
    "read1": lambda rng, buffer, like, data: (buffer.read1(size := _size(rng)), like.read1(_fitting(size))),
    "readline": lambda rng, buffer, like, data: (buffer.readline(size := _size(rng)), like.readline(_fitting(size))),
    "readlines": lambda rng, buffer, like, data: (buffer.readlines(size := _size(rng)), like.readlines(_fitting(size))),
    "read_nonblock": lambda rng, buffer, like, data: (
        buffer.read_nonblock(size := _size(rng)),
        like.read(_fitting(size)),
    ),
    "readinto": _readinto,
    "next": lambda rng, buffer, like, data: (next(buffer, None), next(like, None)),
    "rest": lambda rng, buffer, like, data: (list(buffer), list(like)) if rng.random() < 0.1 else (0, 0),
    "tell": lambda rng, buffer, like, data: (buffer.tell(), like.tell()),
    "len": lambda rng, buffer, like, data: (
        (len(buffer), buffer.readable_amount(), buffer.at_eof()),
        (rest := len(data) - like.tell(), rest, rest == 0),
    ),
    "memoryview": lambda rng, buffer, like, data: (bytes(memoryview(buffer)), data[like.tell() :]),
    "seek": _seek,
    "find": _find,
}


def _fitting(size):
    return size if size is None else min(size, 1 << 60)


def like_a_file(seed, rounds):
    """The number of operations; AssertionError: the first one that comes to something else."""
    rng = random.Random(seed)
    count = 0
    for _ in range(rounds):
        data = _content(rng, rng.choice((0, 1, 10, 300, 3000)))
        buffer, like = erlang.PyBuffer._test_create(data), io.BytesIO(data)
        for _ in range(100):
            name = rng.choice(list(_OPERATIONS))
            ours, theirs = _OPERATIONS[name](rng, buffer, like, data)
            assert ours == theirs, f"{name} of {data!r}, seed {seed}, operation {count}: {ours!r}, not {theirs!r}"
            assert buffer.tell() == like.tell(), f"{name}, seed {seed}, operation {count}: the position"
            count += 1
    return count


# A buffer that grows while it is read, and what it has to come to.


class _Growing:
    def __init__(self, rng, buffer):
        self.rng, self.buffer = rng, buffer
        self.data, self.position, self.ended = bytearray(), 0, False
        self.views = []
        self.refused = 0

    def _take(self, size):
        taken = bytes(self.data[self.position :][:size])
        self.position += len(taken)
        return taken

    def write(self):
        piece = _content(self.rng, self.rng.choice((0, 1, 5, 50, 5000, 70_000)))
        try:
            _write(self.buffer, piece)
        except PluginError as error:
            if error.args[0] == "closed":
                assert self.ended
            else:
                assert error.args[0] == "memoryview_exists" and self.views, error
                self.refused += 1
        else:
            assert not self.ended or not piece
            self.data += piece

    def end(self):
        if self.rng.random() < 0.02:
            _end(self.buffer)
            self.ended = True

    def read(self):
        size = self.rng.choice((-1, 1, 10, 100_000))
        if self.position < len(self.data) or self.ended:
            expected = self._take(None if size < 0 else size)
            assert self.buffer.read(size) == expected
        else:
            assert self.buffer.read_nonblock(size) == b""

    def readline(self):
        size = self.rng.choice((-1, 3, 40))
        rest = self.data[self.position :]
        at = rest.find(b"\n")
        if at >= 0 or self.ended or 0 < size <= len(rest):
            line = len(rest) if at < 0 else at + 1
            expected = self._take(line if size < 0 else min(line, size))
            assert self.buffer.readline(size) == expected
        else:
            try:
                self.buffer.readline(size, timeout=0)
            except TimeoutError:
                pass
            else:
                raise AssertionError("a line without an end")

    def seek(self):
        self.position = self.rng.randrange(len(self.data) + 1)
        assert self.buffer.seek(self.position) == self.position

    def find(self):
        sub = _content(self.rng, self.rng.randrange(6))
        assert self.buffer.find(sub) == self.data.find(sub, self.position) - (
            self.position if sub in self.data[self.position :] else 0
        )

    def look(self):
        self.views.append((memoryview(self.buffer), bytes(self.data[self.position :])))

    def look_away(self):
        self.rng.shuffle(self.views)
        while self.views and self.rng.random() < 0.7:
            view, content = self.views.pop()
            assert view == content
            view.release()


def like_a_growing_file(buffer_of, seed, rounds):
    """How many writes a memoryview has been in the way of. buffer_of: a registered function that makes a buffer."""
    rng = random.Random(seed)
    refused = 0
    for _ in range(rounds):
        model = _Growing(rng, erlang.call(buffer_of, None))
        operations = [getattr(model, name) for name in vars(_Growing) if not name.startswith("_")]
        try:
            for _ in range(150):
                rng.choice([*operations, model.write, model.look_away])()
                assert model.buffer.tell() == model.position and len(model.buffer) == len(model.data) - model.position
            for view, content in model.views:
                assert view == content
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
        refused += model.refused
    return refused
