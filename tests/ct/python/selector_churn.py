"""What selector_churn_SUITE has done in a context: files that come and go under a selector of the event loop."""

import asyncio
import errno
import os
import random
import select
import selectors
import socket
import struct
import threading
import time

import _erlang
import erlang
from erlang._beam import BeamSelector

_kept = {}


def _pair():
    here, there = socket.socketpair()
    here.setblocking(False)
    there.setblocking(False)
    return here, there


def numbers_used_again(count):
    """Sockets that get each other's numbers. Each is sent its own id, and what is reported has to have it to read."""
    loop = erlang.new_event_loop()
    selector = loop._selector
    wrong, seen, numbers = 0, 0, set()
    random.seed(1)
    alive = {}
    try:
        for i in range(count):
            here, there = _pair()
            numbers.add(here.fileno())
            selector.register(here, selectors.EVENT_READ, i)
            alive[i] = (here, there)
            if random.random() < 0.7:
                there.send(b"%d" % i)
            if random.random() < 0.5:
                for key, _ in selector.select(0 if random.random() < 0.5 else 0.001):
                    if key.data is None or not isinstance(key.data, int):
                        continue  # the loop's own
                    try:
                        wrong += key.fileobj.recv(100) != b"%d" % key.data
                        seen += 1
                    except BlockingIOError:
                        pass
            while len(alive) > random.randrange(1, 8):
                key = random.choice(list(alive))
                here, there = alive.pop(key)
                selector.unregister(here)
                here.close()
                there.close()
    finally:
        for here, there in alive.values():
            selector.unregister(here)
            here.close()
            there.close()
        loop.close()
    return [wrong, seen > count // 10, len(numbers) < 50]


def armed_again(count):
    """A file whose events are changed all the time is reported for those, and as long as there are some."""
    loop = erlang.new_event_loop()
    selector = loop._selector
    here, there = _pair()
    read, write = selectors.EVENT_READ, selectors.EVENT_WRITE
    selector.register(here, read, "here")
    try:
        for i in range(count):
            there.send(b"x")
            assert _events(selector) == read, i
            assert _events(selector) == read, i  # still there
            selector.modify(here, write, "here")
            assert _events(selector) == write, i
            selector.modify(here, read | write, "here")
            events = 0
            while events != read | write:
                events |= _events(selector)
            assert here.recv(10) == b"x"
            selector.modify(here, read, "here")
            assert not [key for key, _ in selector.select(0) if key.data == "here" and _readable(here)], i
        selector.unregister(here)
        return count
    finally:
        here.close()
        there.close()
        loop.close()


def _readable(sock):
    try:
        return len(sock.recv(1, socket.MSG_PEEK)) > 0
    except BlockingIOError:
        return False


def _events(selector):
    while True:
        for key, events in selector.select(10):
            if key.data == "here":
                return events


def closed_means_closed(count):
    """Once a socket is unregistered and closed, it is closed: its port is free, and its peer sees the end."""
    loop = erlang.new_event_loop()
    selector = loop._selector
    port = 0
    for _ in range(count):
        listening = socket.socket()
        listening.bind(("127.0.0.1", port))
        listening.listen()
        port = listening.getsockname()[1]
        listening.setblocking(False)
        selector.register(listening, selectors.EVENT_READ)
        client = socket.socket()
        client.connect(("127.0.0.1", port))
        assert any(key.fileobj is listening for key, _ in _some(selector))
        served, _ = listening.accept()
        selector.register(served, selectors.EVENT_WRITE)
        assert any(key.fileobj is served for key, _ in _some(selector))
        selector.unregister(served)
        client.setblocking(False)
        # A reset, so that the port is not kept for a while.
        served.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        served.close()
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass
        client.close()
        selector.unregister(listening)
        listening.close()
    loop.close()
    return count


def _some(selector):
    found = []
    while not found:
        found = [(key, events) for key, events in selector.select(10) if isinstance(key.fileobj, socket.socket)]
        found = [(key, events) for key, events in found if key.data is None]
    return found


def connections(count):
    """Connections that are opened and closed, so many at once; how many echoed their own number."""
    return erlang.run(_connections(count))


async def _connections(count):
    async def serve(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    address = server.sockets[0].getsockname()

    async def ask(i):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"%d\n" % i)
        line = await reader.readline()
        writer.close()
        return line == b"%d\n" % i

    right = 0
    for first in range(0, count, 50):
        right += sum(await asyncio.gather(*(ask(i) for i in range(first, first + 50))))
    server.close()
    await server.wait_closed()
    return right


def in_threads(count):
    """The first scenario on several threads of Python's at once."""
    results = []
    threads = [threading.Thread(target=lambda: results.append(numbers_used_again(count))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def never_unregistered(count):
    """Files that are closed without being unregistered: the user's mistake, and nobody else's trouble."""
    loop = erlang.new_event_loop()
    selector = loop._selector
    for _ in range(count):
        here, there = _pair()
        selector.register(here, selectors.EVENT_READ, "lost")
        there.send(b"x")
        selector.select(0)
        number = here.fileno()
        here.close()
        there.close()
        selector.unregister(number)
    here, there = _pair()
    selector.register(here, selectors.EVENT_READ, "here")
    there.send(b"x")
    assert _events(selector) == selectors.EVENT_READ
    selector.unregister(here)
    here.close()
    there.close()
    loop.close()
    return count


def refusals():
    """What registering, changing and unregistering what cannot be raises."""
    loop = erlang.new_event_loop()
    selector = loop._selector
    here, there = _pair()
    selector.register(here, selectors.EVENT_READ)
    regular = os.open(__file__, os.O_RDONLY)
    closed = os.open("/dev/null", os.O_RDONLY)
    os.close(closed)
    raised = []
    for attempt in (
        lambda: selector.register(here, selectors.EVENT_WRITE),
        lambda: selector.register(there, 0),
        lambda: selector.register(there, 8),
        lambda: selector.register(closed, selectors.EVENT_READ),
        lambda: selector.register(-1, selectors.EVENT_READ),
        lambda: selector.register(regular, selectors.EVENT_READ),
        lambda: selector.modify(there, selectors.EVENT_READ),
        lambda: selector.unregister(there),
        lambda: selector.register((1 << 32) + there.fileno(), selectors.EVENT_READ),
    ):
        try:
            attempt()
            raised.append("nothing")
        except OSError as error:
            raised.append(errno.errorcode[error.errno])
        except Exception as error:
            raised.append(type(error).__name__)
    os.close(regular)
    selector.select(0)
    kept = len(selector.get_map())
    selector.unregister(here)
    here.close()
    there.close()
    loop.close()
    try:
        selector.register(0, selectors.EVENT_READ)
        raised.append("nothing")
    except ValueError:
        raised.append("ValueError")
    return [raised, kept]


def selectors_by_name():
    """The kinds of loops made with and without a selector named, and what another name raises."""
    kinds = []
    for name in (None, "native", "beam"):
        loop = erlang.new_event_loop(name) if name is None else erlang.new_event_loop(selector=name)
        kinds.append(type(loop._selector).__name__)
        loop.close()
    loop = erlang.ErlangEventLoop(selector="beam")
    kinds.append(type(loop._selector).__name__)
    loop.close()
    try:
        erlang.new_event_loop(selector="other")
    except ValueError as error:
        kinds.append(str(error))
    return kinds


def without_a_worker(kill, times):
    """Echoes over a loop whose worker is killed again and again; `kill` is the Erlang function that does."""
    return erlang.run(_without_a_worker(kill, times))


async def _without_a_worker(kill, times):
    loop = asyncio.get_running_loop()
    here, there = _pair()
    echoed = 0
    for i in range(times):
        answer = loop.create_task(loop.sock_recv(there, 100))
        await asyncio.sleep(0)
        await asyncio.to_thread(erlang.call, kill)
        await loop.sock_sendall(here, b"%d" % i)
        echoed += await asyncio.wait_for(answer, 10) == b"%d" % i
    here.close()
    there.close()
    return echoed


def sleeping(pid):
    """Tells a process that a loop runs, and sleeps."""

    async def main():
        erlang.send(pid, "sleeping")
        await asyncio.sleep(3600)

    erlang.run(main())


def left_open(count):
    """Loops nobody closes."""
    import gc
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(count):
            selector = erlang.new_event_loop("beam")._selector
            del selector
        gc.collect()
    return count


def begin_lingering(seconds):
    """A socket that lingers, closed by everybody but the VM, and by that soon; with data its peer does not read."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    here = socket.socket()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    here.connect(listening.getsockname())
    there, _ = listening.accept()
    listening.close()
    here.setblocking(False)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))
    selector = BeamSelector()
    selector.register(here, selectors.EVENT_WRITE)
    while not selector.select(10):  # so that the VM knows it
        pass
    try:
        while True:
            here.send(b"x" * 65536)
    except BlockingIOError:
        pass
    here.close()
    _kept["peer"] = there
    selector.close()


def end_lingering():
    """The peer of that reads all there is, to the end."""
    there = _kept.pop("peer")
    while there.recv(65536):
        pass
    there.close()


def with_suspended_worker(suspend, resume, count):
    """How many files were closed in the end that were unregistered while the worker did nothing; how long that took."""
    pairs = [_pair() for _ in range(count)]
    selector = BeamSelector()
    unseen = {here for here, _ in pairs}
    for here, _ in pairs:
        selector.register(here, selectors.EVENT_WRITE)
    while unseen:
        unseen -= {key.fileobj for key, _ in selector.select(10)}
    erlang.call(suspend)
    before = time.monotonic()
    for here, there in pairs:
        selector.unregister(here)
        here.close()
        try:
            there.recv(1)
            raise AssertionError("the VM has closed it")
        except BlockingIOError:
            pass
    seconds = time.monotonic() - before
    erlang.call(resume)
    closed = 0
    for _, there in pairs:
        there.settimeout(10)
        closed += there.recv(1) == b""
        there.close()
    # It is waited for again.
    here, there = _pair()
    selector.register(here, selectors.EVENT_WRITE)
    while not selector.select(10):
        pass
    selector.unregister(here)
    here.close()
    assert there.recv(1) == b""
    there.close()
    selector.close()
    return [closed, seconds]


def begin_interrupted():
    here, there = _pair()
    _kept["churn"] = (BeamSelector(), here, there)


def interrupted(pid):
    """Registers and unregisters a file until it is interrupted."""
    selector, here, _ = _kept["churn"]
    try:
        erlang.send(pid, "churning")
        while True:
            selector.register(here, selectors.EVENT_READ)
            selector.unregister(here)
    except erlang.Interrupted:
        pass


def known_after_interrupt():
    """How many files the selector has after its next select()."""
    selector, here, _ = _kept["churn"]
    selector.select(0)
    return len(selector.get_map())


def no_more_known():
    """Unregisters what was left registered, which is reported until then."""
    selector, here, _ = _kept["churn"]
    if len(selector.get_map()):
        selector.modify(here, selectors.EVENT_WRITE)
        while not selector.select(10):
            pass
        selector.unregister(here)


def end_interrupted():
    selector, here, there = _kept.pop("churn")
    selector.close()
    here.close()
    there.close()


def watched_twice():
    """What the core says when it is to watch what it watches; how many files are reported."""
    here, there = _pair()
    selector = BeamSelector()
    selector.register(here, selectors.EVENT_WRITE)
    try:
        _erlang.loop_watch(selector._loop, here.fileno(), selectors.EVENT_READ)
        raised = "nothing"
    except OSError as error:
        raised = type(error).__name__
    reported = len(selector.select(10))
    selector.close()
    here.close()
    there.close()
    return [raised, reported]


def new_loops(count):
    """How many loops the VM watches a file for."""
    seen = 0
    for _ in range(count):
        print("a loop")
        here, there = _pair()
        selector = BeamSelector()
        selector.register(here, selectors.EVENT_WRITE)
        seen += len(selector.select(10))
        selector.close()
        here.close()
        there.close()
    return seen


def closed_before_unregistered(count):
    """Files that are closed first, of which somebody has a duplicate: the kernel knows those by the file, not by its
    number. How many waits found nothing and did not last, how often the next one, mostly with that number, got what
    was its own, and whether it ever had the number."""
    on_thread, elsewhere = _closed_first(count), []
    thread = threading.Thread(target=lambda: elsewhere.append(_closed_first(count)))
    thread.start()
    thread.join()
    return [on_thread, *elsewhere]


def _closed_first(count):
    loop = erlang.new_event_loop()
    selector = loop._selector
    selector.select(0)
    short = own = again = 0
    try:
        for i in range(count):
            here, there = _pair()
            number = here.fileno()
            duplicate = os.dup(number)
            selector.register(number, selectors.EVENT_READ, "closed")
            there.send(b"x")
            here.close()
            selector.unregister(number)
            if i % 2 == 0:
                short += _short_waits(selector)
            here, away = _pair()
            again += here.fileno() == number
            selector.register(here, selectors.EVENT_READ, "next")
            short += _short_waits(selector)
            away.send(b"y")
            own += [key.data for key, _ in selector.select(5)] == ["next"]
            selector.unregister(here)
            os.close(duplicate)
            for each in (here, there, away):
                each.close()
    finally:
        loop.close()
    return [short, own, again > 0]


def no_room_to_begin_again():
    """What is ready is said all the same, until there is room again."""
    loop = erlang.new_event_loop()
    selector = loop._selector
    selector.select(0)
    original = select.epoll

    def full():
        raise OSError(errno.EMFILE, "on purpose")

    here, there = _pair()
    other, away = _pair()
    duplicate = os.dup(here.fileno())
    try:
        selector.register(here.fileno(), selectors.EVENT_READ, "closed")
        selector.register(other, selectors.EVENT_READ, "other")
        there.send(b"x")
        away.send(b"x")
        here.close()
        selector.unregister(next(key.fd for key in selector.get_map().values() if key.data == "closed"))
        select.epoll = full
        found = [[key.data for key, _ in selector.select(5)] for _ in range(3)]
        select.epoll = original
        other.recv(1)
        return [found, _short_waits(selector)]
    finally:
        select.epoll = original
        selector.unregister(other)
        os.close(duplicate)
        for each in (there, other, away):
            each.close()
        loop.close()


def _short_waits(selector):
    """One may be short: what is wrong is found out then."""
    short = 0
    for _ in range(4):
        began = time.monotonic()
        assert selector.select(0.02) == []
        short += time.monotonic() - began < 0.019
    return short > 1
