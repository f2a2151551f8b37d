"""Protocols for reactors. They tell the process client_info["pid"] what happens to them."""

import asyncio
import errno
import os
import select
import socket
import sys
import threading
import time

import erlang
from erlang import reactor

_tag = erlang.atom


class Echo(reactor.Protocol):
    def data_received(self, data):
        self.write_buffer.extend(data)
        return "write_pending"


class Telling(Echo):
    def tell(self, what, *more):
        erlang.send(self.client_info["pid"], (_tag(what), *more))

    def connection_made(self, fd, client_info):
        super().connection_made(fd, client_info)
        self.tell("made", fd)

    def connection_lost(self):
        self.tell("lost", self.fd)


class Reading(Telling):
    """Only listens."""

    def data_received(self, data):
        self.tell("data", bytes(data))
        return "continue"


class Plain(reactor.Protocol):
    """Written as if there were no base class to call."""

    def __init__(self):
        pass

    def connection_made(self, fd, client_info):
        self.wanted = b"PING"

    def data_received(self, data):
        if data == self.wanted:
            self.write_buffer.extend(b"PONG")
            return "write_pending"
        return "close"

    def write_ready(self):
        if not self.write_buffer:
            return "read_pending"
        written = self.write(bytes(self.write_buffer))
        del self.write_buffer[:written]
        return "continue" if self.write_buffer else "read_pending"


class Greeting(Telling):
    def connection_made(self, fd, client_info):
        super().connection_made(fd, client_info)
        print("a greeting for", client_info.get("addr"))
        self.write_buffer.extend(repr(sorted(k for k in client_info if k != "pid")).encode())
        self.write_buffer.extend(str(client_info.get("addr")).encode())
        return "write_pending"


class Closing(Telling):
    """Answers, and closes."""

    def data_received(self, data):
        self.write_buffer.extend(b"bye " + data)
        return "write_pending"

    def write_ready(self):
        super().write_ready()
        return "continue" if self.write_buffer else "close"


class Burst(Telling):
    """Answers a number with so many bytes."""

    def data_received(self, data):
        self.write_buffer.extend(b"x" * int(data))
        return "write_pending"


class Failing(Telling):
    """Fails in the method that it is told."""

    def failing(self, where):
        if self.client_info.get("fails") == where:
            raise RuntimeError(f"on purpose in {where}")

    def connection_made(self, fd, client_info):
        super().connection_made(fd, client_info)
        self.failing("connection_made")

    def data_received(self, data):
        self.failing("data_received")
        if self.client_info.get("fails") == "action":
            return "no such action"
        if self.client_info.get("fails") == "exit":
            sys.exit(3)
        return super().data_received(data)

    def write_ready(self):
        self.failing("write_ready")
        return super().write_ready()

    def connection_lost(self):
        super().connection_lost()
        self.failing("connection_lost")


def failing_factory():
    raise RuntimeError("on purpose in the factory")


def wrong_factory():
    return object()


class FromThread(Telling):
    """Another thread has the answer, later."""

    def data_received(self, data):
        threading.Thread(target=self.answer, args=(bytes(data),)).start()
        return "async_pending"

    def answer(self, data):
        self.write_buffer.extend(data.upper())
        assert reactor.signal_write_ready(self.fd)


class FromAsyncio(FromThread):
    def answer(self, data):
        async def main():
            await asyncio.sleep(0.001)
            FromThread.answer(self, data)

        asyncio.run(main())


class FromCoroutine(FromThread):
    """Its own loop has it."""

    def data_received(self, data):
        self.task = asyncio.get_running_loop().create_task(self.work(bytes(data)))
        return "async_pending"

    async def work(self, data):
        await asyncio.sleep(0.001)
        self.answer(data)


class Pushed(Reading):
    """Sends what somebody else gives it, while it reads."""


class Counted(Pushed):
    writes = 0

    def write_ready(self):
        self.writes += 1
        return super().write_ready()


def push_many(fd, count):
    return all([push(fd, b"x") for _ in range(count)])


def writes(fd):
    return reactor.get_protocol(fd).writes


def push(fd, data):
    reactor.get_protocol(fd).write_buffer.extend(data)
    return reactor.signal_write_ready(fd)


def close_by_thread(fd):
    thread = threading.Thread(target=reactor.close_connection, args=(fd,))
    thread.start()
    thread.join()


def protocols():
    return len(reactor._by_fd), len(reactor._by_id)


class Held(Telling):
    """Keeps its thread until there is something to be read from client_info["gate"]."""

    def data_received(self, data):
        self.tell("held")
        os.read(self.client_info["gate"], 1)
        return super().data_received(data)


class Endless(Telling):
    def data_received(self, data):
        self.tell("held")
        while True:
            try:
                threading.Event().wait(0.01)
            except erlang.Interrupted:
                raise


class Pulled(Telling):
    """Closes its own descriptor."""

    def data_received(self, data):
        os.close(self.fd)
        return "continue"


class Buffers(Telling):
    """Keeps what it reads."""

    kept: list = []

    def data_received(self, data):
        view = memoryview(data)
        Buffers.kept.append(view)
        self.tell("view", type(data.memoryview().obj).__name__, view.readonly, len(view))
        return "continue"


class App(Telling):
    def data_received(self, data):
        self.write_buffer.extend(self.app(bytes(data)))
        return "write_pending"


def an_app(data):
    return data[::-1]


def make_pipe():
    return os.pipe()


def write_pipe(fd, data):
    return os.write(fd, data)


def close_fds(*fds):
    for fd in fds:
        os.close(fd)


def a_file(path):
    return os.open(path, os.O_RDONLY)


def a_listener():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock.detach()


def seqpacket_pair():
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return a.detach(), b.detach()


def exchange(fd, data, size):
    sock = socket.socket(fileno=os.dup(fd))
    sock.settimeout(20)
    try:
        sock.send(data)
        return sock.recv(size)
    finally:
        sock.close()


def by_hand():
    """A reactor without Erlang: what its functions say."""
    reactor.set_protocol_factory(Plain)
    ours, theirs = socket.socketpair()
    fd = ours.fileno()
    made = reactor.init_connection(fd, {"type": "test"})
    assert reactor.get_protocol(fd) is made and made.fd == fd and made.client_info == {"type": "test"}
    assert reactor.on_read_ready(fd) == "continue"  # there is nothing
    theirs.send(b"PING")
    assert reactor.on_read_ready(fd) == "write_pending"
    assert reactor.on_write_ready(fd) == "read_pending"
    assert theirs.recv(10) == b"PONG"
    assert reactor.on_read_ready(fd, b"PING") == "write_pending"
    assert reactor.on_read_ready(fd, b"STOP") == "close"
    try:
        made.read()
        raise AssertionError("there was something")
    except BlockingIOError:
        pass
    for bad in ("text", 7, None):
        try:
            made.write(bad)
            raise AssertionError(bad)
        except TypeError:
            pass
    for bad in (0, -1, "text"):
        try:
            made.read(bad)
            raise AssertionError(bad)
        except (ValueError, TypeError):
            pass
    theirs.send(b"more")
    assert made.read(2) == b"mo" and made.read(1 << 70) == b"re"
    theirs.close()
    assert reactor.on_read_ready(fd) == "close"
    assert not reactor.signal_write_ready(fd)
    reactor.close_connection(fd)
    assert made.closed and made.fd == -1 and reactor.get_protocol(fd) is None
    assert reactor.on_read_ready(fd) == reactor.on_write_ready(fd) == "close"
    try:
        made.write(b"late")
        raise AssertionError("written")
    except ConnectionAbortedError:
        pass
    ours.getsockname()  # still open: it was the caller's
    ours.close()
    try:
        reactor.init_connection(fd, {})
        raise AssertionError("opened")
    except OSError:
        pass
    for bad in (None, 3):
        try:
            reactor.set_protocol_factory(bad)
            raise AssertionError(bad)
        except TypeError:
            pass
    return protocols()


def buffers():
    """A ReactorBuffer is like bytes."""
    raw = b"GET /index HTTP/1.1\r\nHost: x\r\n\r\n"
    data = erlang.ReactorBuffer._test_create(raw)
    assert isinstance(data, reactor.ReactorBuffer)
    assert memoryview(data).readonly and memoryview(data) == raw and bytes(data) == raw
    assert data.memoryview()[:3] == b"GET"
    assert len(data) == len(raw) and data[0] == raw[0] and data[-1] == raw[-1] and data[4:10] == raw[4:10]
    assert data[::-2] == raw[::-2] and list(data) == list(raw)
    assert data.startswith(b"GET") and not data.startswith(b"PUT") and data.startswith((b"A", b"G"))
    assert data.startswith(b"/", 4) and data.startswith(b"") and not data.startswith(raw + b"x")
    assert data.endswith(b"\r\n\r\n") and data.endswith(b"") and not data.endswith(b"x" + raw)
    assert data.endswith((b"x", b"\n"))
    assert data.find(b"\r\n") == raw.find(b"\r\n") and data.find(b"HTTP", 3, 30) == raw.find(b"HTTP", 3, 30)
    assert data.find(b"none") == -1 and data.rfind(b"\r\n") == raw.rfind(b"\r\n")
    assert data.index(b"Host") == raw.index(b"Host") and data.count(b"/") == 2
    assert b"HTTP" in data and b"FTP" not in data and ord("G") in data
    assert data == raw and raw == data and data != b"PING" and data == bytearray(raw) and data != 3
    assert data == reactor.ReactorBuffer._test_create(raw) and data != reactor.ReactorBuffer._test_create(b"")
    assert hash(data) == hash(raw) and {data: 1}[raw] == 1
    assert data < b"H" and data <= raw and data > b"A" and data >= raw
    assert b"Got: " + data == b"Got: " + raw and data + b"!" == raw + b"!" and data + data == raw * 2
    assert bytearray(b"> ") + data == b"> " + raw and b"".join([data, data]) == raw * 2
    assert data * 2 == 2 * data == raw * 2
    assert data.decode() == raw.decode() and data.decode("ascii", "replace") == raw.decode("ascii")
    assert data.split(b"\r\n") == raw.split(b"\r\n") and data.split(None, 1) == raw.split(None, 1)
    assert data.strip() == raw.strip() and data.partition(b" ") == raw.partition(b" ")
    assert data.upper() == raw.upper() and data.hex() == raw.hex() and data.splitlines() == raw.splitlines()
    assert int(reactor.ReactorBuffer._test_create(b"42")) == 42
    assert repr(reactor.ReactorBuffer._test_create(b"x")) == "ReactorBuffer(b'x')"
    assert not reactor.ReactorBuffer._test_create(b"")
    grown = bytearray()
    grown.extend(data)
    assert grown == raw
    for wrong in (lambda: data[len(raw)], lambda: data["x"], lambda: data.no_such_method, lambda: data + "text"):
        try:
            wrong()
            raise AssertionError(wrong)
        except (IndexError, TypeError, AttributeError):
            pass
    view = memoryview(data)
    del data
    assert view == raw
    return "alike"


class Growing(Telling):
    """A thread adds to what is being written, in so many pieces."""

    def data_received(self, data):
        self.write_buffer.extend(b"x" * 8_000_000)
        self.writing = threading.Event()
        threading.Thread(target=self.grow, args=(int(data),)).start()
        return "write_pending"

    def write_ready(self):
        self.writing.set()
        return super().write_ready()

    def grow(self, times):
        try:
            self.writing.wait()
            for _ in range(times):
                self.write_buffer.extend(b"x" * 100)
            reactor.signal_write_ready(self.fd)
        except BaseException as error:
            self.tell("grown", repr(error))
        else:
            self.tell("grown", times)


class Later(Telling):
    """Waits for somebody to signal, and says when he has."""

    latest: list = []

    def connection_made(self, fd, client_info):
        Later.latest.append(self)
        super().connection_made(fd, client_info)

    def data_received(self, data):
        self.tell("data", bytes(data))
        return "async_pending"

    def write_ready(self):
        self.tell("writable", self.fd)
        return super().write_ready()


def signal_late():
    """What a thread of the first one does that has not heard of its end."""
    first = Later.latest[0]
    Later.latest.clear()
    return reactor.signal_write_ready(first.fd)


class Leaving(Telling):
    """Exits when it is told that it ends."""

    def connection_lost(self):
        super().connection_lost()
        sys.exit("on purpose")


class Draining(Telling):
    """Reads all there is by itself, and says how much that was, with the last of it."""

    def data_received(self, data):
        times, last = 1, bytes(data)
        try:
            while True:
                last = self.read()
                times += 1
        except BlockingIOError:
            self.write_buffer.extend(b"%d %b" % (times, last))
        return "write_pending"


class Calling(Telling):
    """Asks Erlang."""

    def data_received(self, data):
        self.write_buffer.extend(erlang.call("reactor_slow", 1) * b"a")
        return "write_pending"


def bound_datagrams(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(path)
    return sock.detach()


def send_unanswerably(path, own, data):
    """One datagram from a socket without a name, and one from a name that is gone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(data, path)
        sock.bind(own)
        sock.sendto(data, path)
    os.unlink(own)


def send_until_full(fd, path, data, most):
    """How many are taken before there is no room, or that there is always some."""
    with socket.socket(fileno=os.dup(fd)) as sock:
        for times in range(most):
            try:
                sock.sendto(data, socket.MSG_DONTWAIT, path)
            except OSError as error:
                assert error.errno in (errno.EAGAIN, errno.ENOBUFS), error
                return times
    return most


def shut_reading(fd):
    with socket.socket(fileno=os.dup(fd)) as sock:
        sock.shutdown(socket.SHUT_RD)


def has_errors(fd):
    poll = select.poll()
    poll.register(fd, select.POLLERR)
    return poll.poll(0)


def ask(fd, path, data):
    with socket.socket(fileno=os.dup(fd)) as sock:
        sock.settimeout(20)
        sock.sendto(data, path)
        return sock.recv(1000)


def serve_without_room(listener, failures):
    """A server that can accept nothing at first."""
    from erlang import _loop, _reactor_server

    left = [errno.EMFILE, errno.ECONNABORTED] * failures

    class Full(_loop.ErlangEventLoop):
        async def sock_accept(self, sock):
            if left:
                raise OSError(left.pop(0), "on purpose")
            return await super().sock_accept(sock)

        def call_exception_handler(self, context):
            assert context["exception"].errno == errno.EMFILE, context

    run, pause = _reactor_server.run, _reactor_server._PAUSE
    _reactor_server._PAUSE = 0.01

    def run_full(main):
        with asyncio.Runner(loop_factory=Full) as runner:
            return runner.run(main)

    _reactor_server.run = run_full
    try:
        reactor.serve(listener, Echo)
    finally:
        _reactor_server.run, _reactor_server._PAUSE = run, pause


class Lingering(Telling):
    """Hears of its end for a while: until there is something to be read from client_info["gate"]."""

    def connection_lost(self):
        self.tell("held")
        os.read(self.client_info["gate"], 1)
        super().connection_lost()


def close_in_thread(fd):
    threading.Thread(target=reactor.close_connection, args=(fd,)).start()


class Interrupting(Telling):
    """Whose ends are interrupted, each time that there is something to do."""

    def connection_lost(self):
        super().connection_lost()
        _interrupt_the_next(self._owner)


def _interrupt_the_next(connection):
    from erlang import _reactor_connection

    close, report = _reactor_connection._close, connection.report

    def interrupted_close(file):
        _reactor_connection._close = close
        raise erlang.Interrupted

    def interrupted_report(*args):
        connection.report = report
        report(*args)
        raise erlang.Interrupted

    _reactor_connection._close, connection.report = interrupted_close, interrupted_report


async def taken_by_a_transport(fd):
    """The number of a connection, while it is watched; then the connection ends."""
    ours, theirs = socket.socketpair()
    os.dup2(ours.fileno(), fd)
    ours.close()
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=sock)
    reactor.close_connection(fd)
    for _ in range(5):
        await asyncio.sleep(0)
    transport.abort()
    theirs.close()


async def worked(seconds):
    """Whether the thread works while its loop has nothing to do for so long."""
    before = time.thread_time()
    await asyncio.sleep(seconds)
    return time.thread_time() - before > seconds / 2
