"""What the servers of tests do. They tell `pid` what happens to them."""

import asyncio
import errno
import gc
import logging
import os
import resource
import socket
import threading
import time
import warnings

import erlang
from erlang import server

# Of what is given up without being closed. Nobody should need the finalizers that close it.
warnings.simplefilter("always", ResourceWarning)


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Telling(Echo):
    """Tells how its connection begins and ends, too."""

    def __init__(self, pid):
        self.pid = pid
        self.received = 0

    def connection_made(self, transport):
        super().connection_made(transport)
        erlang.send(self.pid, "made")

    def data_received(self, data):
        self.received += len(data)
        super().data_received(data)

    def connection_lost(self, exc):
        erlang.send(self.pid, ("lost", self.received, type(exc).__name__ if exc else None))


class OnLoop(Echo):
    """Wants to be made on the loop."""

    def __init__(self):
        self.ended = asyncio.get_running_loop().create_future()


class Asking(Echo):
    """Does what it is told by its peer."""

    def data_received(self, data):
        if data == b"raise":
            raise ValueError("told to")
        if data == b"thread":
            data = str(threading.get_native_id()).encode()
        if data == b"half close":
            self.transport.write(b"that is all")
            self.transport.write_eof()
            return
        super().data_received(data)


class Flooding(Echo):
    """Says more than anybody wants to hear at once, when it is asked."""

    def __init__(self, size):
        self.size = size

    def data_received(self, data):
        self.transport.write(bytes(self.size))


class Holding(Echo):
    """Asks Erlang, and its loop waits."""

    def connection_made(self, transport):
        super().connection_made(transport)
        erlang.call("hold", threading.get_native_id())


class Stubborn(Echo):
    """Does not want to lose its connection."""

    def __init__(self, pid):
        self.pid = pid

    def connection_lost(self, exc):
        erlang.send(self.pid, "running")
        while True:
            pass


class Failing(Echo):
    """In its beginning."""

    def connection_made(self, transport):
        raise ValueError("no connection, please")


class FailingOnce(Echo):
    """Cannot be made the first time."""

    made = 0

    def __init__(self):
        FailingOnce.made += 1
        if FailingOnce.made == 1:
            raise ValueError("not yet")


class Buffered(asyncio.BufferedProtocol):
    def connection_made(self, transport):
        self.transport = transport
        self.buffer = bytearray(1000)

    def get_buffer(self, sizehint):
        return self.buffer

    def buffer_updated(self, count):
        self.transport.write(bytes(self.buffer[:count]))


class Counted(Echo):
    """How many of them each thread has had; hangs up on who asks for it."""

    by_thread: dict[int, int] = {}

    def connection_made(self, transport):
        super().connection_made(transport)
        thread = threading.get_native_id()
        self.by_thread[thread] = self.by_thread.get(thread, 0) + 1

    def data_received(self, data):
        super().data_received(data)
        if data == b"hang up":
            self.transport.close()


def counted():
    """By this thread; then from 0 again."""
    return Counted.by_thread.pop(threading.get_native_id(), 0)


def objects():
    """How many there are."""
    gc.collect()
    return len(gc.get_objects())


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if data == b"raise":
            raise ValueError("told to")
        self.transport.sendto(data, addr)


# ---------------------------------------------------------------------------------------------------------------------


def start(fd, kind="Echo", *args):
    """A function, which may be called in any way."""
    return str(server.serve(fd, _factory(kind, args)))


def _factory(kind, args):
    FailingOnce.made = 0
    made = globals()[kind]
    return (lambda: made(*args)) if args else made


async def start_and_wait(fd, kind="Echo", *args):
    serving = await server.serve(fd, _factory(kind, args))
    assert serving.serving and serving.connections == 0 and serving.name == str(serving)
    return serving


def start_object(fd):
    return server.serve(fd, Echo)


def start_udp(fd):
    return server.serve(fd, Datagrams, udp=True)


def start_and_stop(fd):
    """In one turn of the loop."""
    serving = server.serve(fd, Echo)
    server.stop_serving(serving)
    return serving


async def stop(name, timeout=None):
    await server.stop_serving(name, timeout)
    return "stopped"


def stop_it(serving, timeout=None):
    return server.stop_serving(serving, timeout)


def adopt(fd, kind="Echo", *args):
    made = server.adopt(fd, _factory(kind, args))
    return None if made is None else "a task"


async def adopt_and_wait(fd, pid):
    transport, protocol = await server.adopt(fd, lambda: Telling(pid))
    return [protocol.transport is transport, transport.get_extra_info("peername") is not None]


async def adopt_and_cancel(fd):
    """Before it has begun."""
    server.adopt(fd, Echo).cancel()


def failing_factory():
    raise ValueError("no protocol today")


def serve_failing(fd, udp):
    server.serve(fd, failing_factory, udp=udp)


def adopt_failing(fd):
    server.adopt(fd, failing_factory)


def serve_what(fd, factory, udp=False):
    """The factory is Echo when it is 0."""
    return server.serve(fd, factory or Echo, udp)


def serve_in_run(fd, pid):
    """On a loop that runs to serve, and ends while it does."""

    async def serve():
        await server.serve(fd, lambda: Telling(pid))
        erlang.send(pid, "serving")
        await erlang.async_call("end_of_run")
        return "ended"

    return erlang.run(serve())


def serve_in_asyncio_run(fd, pid):
    """The same on asyncio's own loop, on a thread of Python's."""
    results = []

    async def serve():
        serving = await server.serve(fd, lambda: Telling(pid))
        reader, writer = await asyncio.open_connection(*serving._sock.getsockname()[:2])
        writer.write(b"hello")
        results.append(await reader.readexactly(5))
        writer.close()
        await server.stop_serving(serving, 10)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    thread.join()
    return results[0]


def connections(name):
    return server._servers[name].connections


def known(name):
    gc.collect()
    return name in server._servers


# ---------------------------------------------------------------------------------------------------------------------


class _Telling(logging.Handler):
    def __init__(self, pid):
        super().__init__()
        self.pid = pid

    def emit(self, record):
        error = record.exc_info[1] if record.exc_info else None
        erlang.send(self.pid, (erlang.atom("logged"), record.getMessage().split("\n")[0], str(error)))


def log_to(pid):
    """What asyncio logs goes there, and nowhere else, and so do warnings. None: as before."""
    logging.captureWarnings(pid is not None)
    for logger in (logging.getLogger("asyncio"), logging.getLogger("py.warnings")):
        logger.propagate = pid is None
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        if pid is not None:
            logger.addHandler(_Telling(pid))


_accept = socket.socket.accept


def out_of_files(seconds):
    """For that long nothing can be accepted."""
    until = time.monotonic() + seconds

    def accept(self):
        if time.monotonic() < until:
            raise OSError(errno.EMFILE, "Too many open files")
        return _accept(self)

    socket.socket.accept = accept


def enough_files():
    socket.socket.accept = _accept


def turns(seconds):
    """How often the loop of this context turns in that time, for a task."""

    async def count():
        loop = asyncio.get_running_loop()
        selector = loop._selector
        before, select = 0, selector.select

        def counting(timeout=None):
            nonlocal before
            before += 1
            return select(timeout)

        selector.select = counting
        try:
            await asyncio.sleep(seconds)
        finally:
            del selector.select
        return before

    return count()


def file():
    """The descriptor of something that is not a socket."""
    return os.open(os.devnull, os.O_RDONLY)


def pair():
    """A connection, of which nobody else knows."""
    one, other = socket.socketpair()
    return [one.detach(), other.detach()]


def sequential():
    """A socket of neither kind."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    other.close()
    return one.detach()


def shut_down(fd):
    with socket.socket(fileno=os.dup(fd)) as listening:
        listening.shutdown(socket.SHUT_RDWR)


def unconnected():
    return socket.socket().detach()


def close(fds):
    for fd in fds:
        os.close(fd)


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True



def cpu_us():
    """What this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return round((usage.ru_utime + usage.ru_stime) * 1e6)


async def poll():
    """What nobody should do."""
    while True:
        await asyncio.sleep(0.01)
