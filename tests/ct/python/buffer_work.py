"""What Python does with buffers in buffers_SUITE."""

import asyncio
import csv
import gc
import hashlib
import io
import json
import random
import threading
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import erlang
from _erlang import Exporter
from erlang._reactor_buffer import ReactorBuffer

kept = {}


def digest(data):
    return hashlib.sha256(data).hexdigest()


def read(buffer, *args):
    return buffer.read(*args)


def readline(buffer, *args):
    return buffer.readline(*args)


def read_within(buffer, method, seconds):
    return getattr(buffer, method)(timeout=seconds)


def async_read_within(buffer, seconds):
    return erlang.run(buffer.async_read(timeout=seconds))


def read_in(buffer, kind, method):
    """The same read by another kind of reader."""
    if method == "buffered":
        return io.BufferedReader(buffer).read(6)
    run = {"loop": erlang.run, "stock_loop": asyncio.run}.get(kind)
    if run is not None:
        return run(getattr(buffer, f"async_{method}")())
    if kind == "call":
        return getattr(buffer, method)()
    return in_thread(getattr(buffer, method))


def in_thread(function, *args):
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*args)))
    thread.start()
    thread.join()
    return results[0]


def problem(function, *args, **keywords):
    """The exception's name and text."""
    try:
        return ["none", repr(function(*args, **keywords))]
    except Exception as error:
        return [type(error).__name__, str(error)]


def size_and_digest(buffer, piece=-1):
    total, sha = 0, hashlib.sha256()
    while data := buffer.read(piece):
        total += len(data)
        sha.update(data)
    return [total, sha.hexdigest()]


def count_records(buffer, readers):
    """How many lines came to some threads, how many different ones, and how many that were torn."""
    parts = [[] for _ in range(readers)]
    threads = [threading.Thread(target=part.extend, args=(buffer,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [line for part in parts for line in part]
    return [len(lines), len(set(lines)), len([line for line in lines if not line.endswith(b".\n")])]


def count_bytes(buffer, readers):
    """Sums of what some threads have read, of every byte value."""
    counts = [[0] * 256 for _ in range(readers)]

    def collect(mine):
        while data := buffer.read(1000):
            for value in set(data):
                mine[value] += data.count(value)

    threads = [threading.Thread(target=collect, args=(mine,)) for mine in counts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [sum(column) for column in zip(*counts)]


_PATTERN = bytes(range(251)) * 4000


def everything_at_once(buffer, threads):
    """Threads that read, look, search and go back, as it comes. Bytes that came together have to be those that were
    written together: each is one more than the one before, or the first of 251."""
    wrong = []

    def check(data):
        if data and bytes(data[:900_000]) != _PATTERN[data[0] : data[0] + len(data[:900_000])]:
            wrong.append(len(data))

    def work(seed):
        rng = random.Random(seed)
        operations = (
            lambda: check(buffer.read_nonblock(rng.choice((10, 1000, 100_000)))),
            lambda: check(buffer.read(1000, timeout=1)),
            lambda: check(buffer.readline(rng.choice((-1, 3)), timeout=1)),
            lambda: check(memoryview(buffer)),
            lambda: wrong.append("found") if buffer.find(b"\x01\x00", rng.randrange(1000)) != -1 else None,
            lambda: buffer.seek(-min(500, buffer.tell()), 1) if rng.random() < 0.1 else None,
        )
        try:
            while not buffer.at_eof():
                try:
                    rng.choice(operations)()
                except (TimeoutError, ValueError):  # another one has gone back meanwhile
                    pass
        except ValueError:
            assert buffer.closed

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [str(each) for each in wrong]


# Files


def wsgi(environ):
    """An application that reads its body in every way there is, and checks of both sides in between."""
    body = []

    def application(environ, start_response):
        source = environ["wsgi.input"]
        body.append(source.read(6))
        body.append(source.readline())
        body.append(source.readline(4))
        body.extend(source.readlines(10))
        for line in source:
            body.append(line)
            break
        body.append(source.read(100))
        body.append(source.read(100))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    environ = {name: value for name, value in environ.items()}
    setup_testing_defaults(environ)
    answer = validator(application)(environ, lambda status, headers, error=None: body.append)
    try:
        done = list(answer)
    finally:
        answer.close()
    return [body, done]


def wrapped(kind, data):
    buffer = erlang.PyBuffer._test_create(data)
    if kind == "text":
        return io.TextIOWrapper(buffer, encoding="utf-8").readlines()
    if kind == "buffered":
        reader = io.BufferedReader(buffer, 16)
        return [reader.peek(1)[:1], reader.readline(), reader.read()]
    if kind == "csv":
        return list(csv.reader(io.TextIOWrapper(buffer, encoding="utf-8", newline="")))
    return json.load(buffer)


def attributes(buffer):
    return [
        type(buffer) is erlang.PyBuffer,
        isinstance(buffer, erlang.PyBuffer),
        buffer.readable(),
        buffer.writable(),
        buffer.seekable(),
        buffer.isatty(),
        buffer.closed,
        bool(buffer),
        len(buffer),
    ]


def closed(buffer):
    """What is left of a buffer that Python has closed."""
    with buffer as same:
        assert same is buffer and not buffer.closed
    buffer.close()
    assert buffer.closed and not buffer.writable()
    operations = [
        lambda: buffer.read(),
        lambda: buffer.read(0),
        lambda: buffer.read_nonblock(),
        lambda: buffer.readline(),
        lambda: buffer.readlines(),
        lambda: next(buffer),
        lambda: buffer.seek(0),
        lambda: buffer.tell(),
        lambda: buffer.find(b"a"),
        lambda: buffer.at_eof(),
        lambda: buffer.readable_amount(),
        lambda: len(buffer),
        lambda: memoryview(buffer),
        lambda: buffer.__enter__(),
        lambda: asyncio.run(buffer.async_read()),
    ]
    problems = sorted({tuple(problem(operation)) for operation in operations})
    gc.collect()
    return problems


def seeks(buffer):
    """Of ten bytes, before the end is known."""
    return [
        buffer.seek(4),
        buffer.seek(-2, 1),
        buffer.seek(3, 1),
        buffer.tell(),
        buffer.seek(10),
        buffer.seek(0, 1),
        *[problem(buffer.seek, *args)[0] for args in ((11,), (-1,), (1, 1), (-11, 1), (0, 2), (0, 3), (0, -1))],
        *[problem(buffer.seek, *args)[0] for args in (("0",), (1.5,), (2**80,), (-(2**80), 1), (None, 1), (0, None))],
        buffer.tell(),
    ]


def finds(buffer):
    """Each as bytes.find() has it; of what has not been read."""
    buffer.seek(0)
    data = bytes(memoryview(buffer))
    cases = [
        (b"",),
        (b"", 3),
        (b"", len(data)),
        (b"", len(data) + 1),
        (b"--b",),
        (b"--b", 1),
        (b"--b", -3),
        (b"x", 0, 0),
        (b"\n",),
        (10,),
        (bytearray(b"--b"),),
        (memoryview(b"--b"), 2, None),
        (data,),
        (data + b"x",),
        (data[1:], 0, -1),
        (data[-1:], -1),
    ]
    differences = [case for case in cases if buffer.find(*case) != data.find(*case)]
    buffer.read(4)
    differences += [case for case in cases if buffer.find(*case) != data[4:].find(*case)]
    return [repr(difference) for difference in differences]


def refusals(buffer, ref):
    """buffer: an empty one."""
    return [
        problem(*case)
        for case in (
            (erlang.PyBuffer, "text"),
            (erlang.PyBuffer, ref),
            (erlang.PyBuffer,),
            (erlang.PyBuffer.__new__(erlang.PyBuffer, ref).read,),
            (erlang.PyBuffer._test_create, "text"),
            (buffer.find, "text"),
            (buffer.find, None),
            (buffer.find, 256),
            (buffer.find, b"a", "0"),
            (buffer.read, "1"),
            (buffer.read, 1.5),
            (buffer.readline, b"1"),
            (buffer.read, 1, -1),
            (buffer.read, 1, "soon"),
            (buffer.readinto, b"read-only"),
        )
    ]


def write_to_view(buffer):
    view = memoryview(buffer)
    assert (view.readonly, view.ndim, view.format, view.contiguous) == (True, 1, "B", True)
    return problem(view.__setitem__, 0, 1)[0]


# Memoryviews that stay


def keep_view(buffer, name="view"):
    kept[name] = memoryview(buffer)


def release_view(name="view"):
    kept.pop(name).release()
    gc.collect()


def view_of(buffer):
    return memoryview(buffer)


def kept_digest(name="view"):
    return [len(kept[name]), digest(kept[name])]


def release_in_thread(buffer, go, pid):
    """A thread that releases a view of this one's, when it can read from `go`."""

    def release(view):
        go.read()
        content = bytes(view)
        view.release()
        erlang.send(pid, ("released", content))

    kept["thread"] = threading.Thread(target=release, args=(memoryview(buffer),))
    kept["thread"].start()


def join_threads():
    kept.pop("thread").join()


def over(buffer):
    """What looks at memory that was released."""
    view = memoryview(buffer)
    memory = view.obj
    view.release()
    reactor_buffer = ReactorBuffer(memoryview(buffer))
    reactor_buffer.memoryview().release()
    return [problem(memoryview, each)[0] for each in (memory, memory, reactor_buffer)] + [problem(len, view)[0]]


def views_of_views(buffer):
    """Lengths of views of what another one looks at, of all and of a part; and who writes to one."""
    whole = memoryview(buffer)
    again = memoryview(whole.obj)
    whole.release()
    with memoryview(ReactorBuffer(again[5:15])) as part, memoryview(ReactorBuffer(again)[5:15]) as copy:
        return [len(again), len(part), len(copy), problem(io.BytesIO(b"x" * 10).readinto, buffer)[0]]


def exports_itself(buffer):
    class Itself(Exporter):
        def _export(self):
            return self

    class Again(erlang.PyBuffer):
        def _export(self):
            return Again(self)

    class Nothing(Exporter):
        def _export(self):
            return None

    return [problem(memoryview, each)[0] for each in (Itself(), Again(buffer), Nothing())]


def keep_view_in_thread(buffer, pid):
    """A thread that looks at the memory when it is told to, and tells the process what it saw."""
    view, go = memoryview(buffer), threading.Event()

    def look():
        go.wait()
        erlang.send(pid, ("seen", len(view), digest(view)))
        view.release()

    kept["thread"] = threading.Thread(target=look)
    kept["thread"].start()
    kept["go"] = go
    buffer.close()


def let_thread_look():
    kept.pop("go").set()
    kept.pop("thread").join()


# Coroutines


def async_collect(buffer, kind, pid):
    """All lines; a process is told that something else goes on in the loop meanwhile."""

    async def go_on():
        for _ in range(3):
            await asyncio.sleep(0.001)
        erlang.send(pid, "goes on")

    async def main():
        task = asyncio.create_task(go_on())
        lines = [line async for line in buffer]
        await task
        return lines

    return (erlang.run if kind == "loop" else asyncio.run)(main())


def async_cancelled(buffer, pid):
    """A read that is cancelled, and one that takes too long, leave everything to the next one."""

    async def main():
        reading = asyncio.create_task(buffer.async_read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        timed_out = False
        try:
            await buffer.async_readline(timeout=0.01)
        except TimeoutError:
            timed_out = True
        erlang.send(pid, "write")
        return [reading.cancelled(), timed_out, await buffer.async_read()]

    return erlang.run(main())


def async_many(buffer, readers):
    async def collect():
        parts = []
        while part := await buffer.async_read(100):
            parts.append(len(part))
        return sum(parts)

    async def main():
        return sum(await asyncio.gather(*(collect() for _ in range(readers))))

    return erlang.run(main())


def async_loop_of_the_guide(buffer):
    async def main():
        chunks = []
        while not buffer.at_eof():
            if available := buffer.readable_amount():
                chunks.append(buffer.read_nonblock(available))
            else:
                await asyncio.sleep(0.001)
        return b"".join(chunks)

    return erlang.run(main())
