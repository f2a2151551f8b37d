"""Requests of Erlang's that run a loop, and what becomes of them: interrupted in the middle, or others in between."""

import asyncio
import os
import socket
import threading
import time

import _erlang
import erlang


def run(value):
    """A loop of its own, wherever this is called."""

    async def main():
        await asyncio.sleep(0.001)
        return value

    return erlang.run(main())


_kept = []


def run_kept(value):
    """On a loop that stays, whatever happens to this request."""
    if not _kept:
        _kept.append(erlang.new_event_loop())
    loop = _kept[0]
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    return value


def close_kept():
    _kept.pop().close()


def make_slowly(pid):
    """A loop whose sockets are only numbers for a while."""
    original = socket.socketpair

    def slow(*args):
        numbers = [each.detach() for each in original(*args)]
        erlang.send(pid, "running")
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            pass
        erlang.send(pid, "made")
        return tuple(socket.socket(fileno=number) for number in numbers)

    socket.socketpair = slow
    try:
        erlang.new_event_loop().close()
    finally:
        socket.socketpair = original
    return "not interrupted"


def in_machinery_after(pid, name):
    """What the loop itself does when another has run on top of it meanwhile, in Erlang's `name`."""
    namespace = {}
    source = "def work(until, now):\n    while now() < until:\n        pass\n"
    exec(compile(source, "/asyncio/made_up.py", "exec"), namespace)

    async def main():
        erlang.call(name)
        erlang.send(pid, "running")
        namespace["work"](time.monotonic() + 0.015, time.monotonic)
        erlang.send(pid, "worked")
        await asyncio.sleep(60)

    erlang.run(main())


def close_for_ever(pid):
    """A loop that has something in its queue which does not want to go."""

    class Endless:
        def __del__(self):
            erlang.send(pid, "running")
            while True:
                time.sleep(0.001)

    loop = erlang.new_event_loop()
    loop.call_soon(print, Endless())
    loop.close()


def sleep_and_clean_up(pid):
    """Never ends by itself, and cleans up with awaits when it is ended."""
    erlang.run(_sleep_and_clean_up(pid))


async def _wait_for_the_end(reader, writer):
    try:
        await reader.read()
    finally:
        writer.close()


async def _sleep_and_clean_up(pid):
    async def connected():
        server = await asyncio.start_server(_wait_for_the_end, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            erlang.send(pid, "running")
            await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
            server.close()
            erlang.send(pid, "task has cleaned up")

    task = asyncio.create_task(connected())
    try:
        await asyncio.sleep(600)
    finally:
        for _ in range(3):
            await asyncio.sleep(0.001)
        await asyncio.to_thread(lambda: None)
        await asyncio.wait([task])  # which the end of the run has cancelled, too
        erlang.send(pid, "has cleaned up")


def compute_in_a_coroutine(pid):
    """Interrupted while it computes and not while it waits."""

    async def main():
        try:
            erlang.send(pid, "running")
            while True:
                pass
        finally:
            await asyncio.sleep(0.001)
            erlang.send(pid, "has cleaned up")

    erlang.run(main())


def sleep_without_cleaning_up(pid):
    async def main():
        left = socket.socketpair()
        asyncio.get_running_loop().add_reader(left[0], print)
        asyncio.create_task(asyncio.sleep(600))
        erlang.send(pid, "running")
        await asyncio.sleep(600)

    erlang.run(main())


# ---------------------------------------------------------------------------------------------------------------------
# Requests in between

_loops = {}


def serve_until(pid, name, all_of_them=True):
    """Lets other requests in while it waits. Ends when stop() is called."""

    async def main():
        loop = asyncio.get_running_loop()
        loop._selector.serves_all = all_of_them
        _loops[name] = loop, loop.create_future()
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.create_task(tick())
        erlang.send(pid, "running")
        result = await _loops[name][1]
        ticking.cancel()
        return result, ticks > 0

    try:
        return erlang.run(main())
    finally:
        del _loops[name]


def stop(name, result):
    """Called by another request in between, so on the thread of the loop."""
    _, future = _loops[name]
    if not future.done():
        future.set_result(result)


def stop_after(name, result, seconds):
    loop, future = _loops[name]
    loop.call_soon(loop.call_later, seconds, future.set_result, result)


def running_loop():
    """In a request in between there is none: what it does is not the loop's."""
    return asyncio._get_running_loop()


def call_from_a_coroutine(function, *args):
    async def main():
        before = asyncio.get_running_loop()
        result = erlang.call(function, *args)
        assert asyncio.get_running_loop() is before
        await asyncio.sleep(0.001)
        return result

    return erlang.run(main())


def call_from_many_coroutines(function, count):
    async def one(n):
        await asyncio.sleep(0.001)
        return erlang.call(function, n)

    async def main():
        return await asyncio.gather(*(one(n) for n in range(count)))

    return erlang.run(main())


def nest(function, depth):
    """A loop in a callback of a loop in a callback ..."""

    async def main():
        await asyncio.sleep(0)
        return 1 + erlang.call(function, depth - 1) if depth else 0

    return erlang.run(main())


def sleep_for_ever(pid):
    """The loop has no timer, which would wake it."""

    async def main():
        erlang.send(pid, "running")
        await asyncio.Event().wait()

    erlang.run(main())


_arrived = []
_child_arrived = None


def wait_for_arrivals(child, computes):
    """Who has arrived when the loop is over, which the child ends."""

    async def main():
        global _child_arrived
        _child_arrived = asyncio.Event()
        erlang.send(child, "running")
        if computes:  # until the requests are there; what the thread waits for lets nobody in
            thread = threading.Thread(target=erlang.call, args=("ep_submitted",))
            thread.start()
            thread.join()
        await _child_arrived.wait()
        arrive("loop")

    erlang.run(main())
    return list(_arrived)


def arrive(name):
    _arrived.append(str(name))
    if name == "child":
        _child_arrived.set()


def arrived():
    return _arrived


def forget_arrived():
    _arrived.clear()
    return _arrived


# ---------------------------------------------------------------------------------------------------------------------
# A loop that is used in one context and then in another of the same interpreter

_moving = None


def start_here():
    """The number of the file that wakes the loop in this context."""
    global _moving
    _moving = erlang.new_event_loop()
    _moving.run_until_complete(asyncio.sleep(0.001))
    return _moving._selector._wake


def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def wake_by(number):
    """Give what wakes this context a number that is free. All below must be taken for that."""
    below = [os.open(os.devnull, os.O_RDONLY)]
    while below[-1] < number:
        below.append(os.open(os.devnull, os.O_RDONLY))
    os.close(below.pop())
    taken, _ = _erlang.poll_fd()
    for other in below:
        os.close(other)
    return taken


def move_here(pid):
    async def main():
        _moving._selector.serves_all = True
        erlang.send(pid, "running")
        await asyncio.Event().wait()

    _moving.run_until_complete(main())


def read_by(number):
    """What comes out of a pipe whose end has this number."""
    end, writer = os.pipe()
    reader = end
    if end != number:
        reader = os.dup2(end, number)
        os.close(end)

    # Before the loop runs here: it finds the file under the number that it has watched elsewhere.
    came = _moving.create_future()
    _moving.add_reader(reader, lambda: came.done() or came.set_result(os.read(reader, 10).decode()))
    os.write(writer, b"came")
    try:
        return _moving.run_until_complete(asyncio.wait_for(came, 5))
    finally:
        _moving.remove_reader(reader)
        os.close(reader)
        os.close(writer)


def close_here():
    _moving.close()
