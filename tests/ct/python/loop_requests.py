"""Requests of Erlang's that run a loop, and what becomes of them: interrupted in the middle, or others in between."""

import asyncio
import socket

import erlang


def run(value):
    """A loop of its own, wherever this is called."""

    async def main():
        await asyncio.sleep(0.001)
        return value

    return erlang.run(main())


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
