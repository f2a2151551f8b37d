"""What the rows of bench_loop run, on our event loop with either selector or on asyncio's own, by Python's clock."""

import asyncio
import time

import erlang

SIZE = 1024


def run(kind, name, *args):
    """The result of one of the coroutines below on a fresh loop: asyncio's, uvloop's, or ours with a selector."""
    if kind == "asyncio":
        return asyncio.run(globals()[name](*args))
    if kind == "uvloop":
        from uvloop import new_event_loop
    else:

        def new_event_loop():
            return erlang.new_event_loop(kind)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(globals()[name](*args))


async def naps(count):
    """The microseconds of one sleep(0)."""
    start = time.perf_counter()
    for _ in range(count):
        await asyncio.sleep(0)
    return (time.perf_counter() - start) / count * 1e6


async def soon(count):
    """The microseconds of one call_soon, from one callback to the next."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = count

    def callback():
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(callback)
        else:
            done.set_result(None)

    start = time.perf_counter()
    loop.call_soon(callback)
    await done
    return (time.perf_counter() - start) / count * 1e6


async def sleeps(count):
    """The milliseconds in which so many sleeps of 10 ms are over, started at once."""
    start = time.perf_counter()
    await asyncio.gather(*[asyncio.sleep(0.01) for _ in range(count)])
    return (time.perf_counter() - start) * 1e3


class _Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class _Client(asyncio.Protocol):
    def __init__(self, done, count):
        self.done = done
        self.left = count

    def connection_made(self, transport):
        self.transport = transport
        transport.write(bytes(SIZE))

    def data_received(self, data):
        self.left -= len(data)
        if self.left % SIZE == 0:
            if self.left:
                self.transport.write(bytes(SIZE))
            else:
                self.done.set_result(None)


async def echo(count):
    """The microseconds of one round trip over TCP; client and server are on the loop."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Echo, "127.0.0.1", 0)
    done = loop.create_future()
    start = time.perf_counter()
    client, _ = await loop.create_connection(lambda: _Client(done, count * SIZE), *server.sockets[0].getsockname())
    await done
    took = time.perf_counter() - start
    client.close()
    server.close()
    return took / count * 1e6


async def stream_echo(count):
    """The same with streams."""

    async def serve(reader, writer):
        while data := await reader.read(SIZE):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    data = bytes(SIZE)
    start = time.perf_counter()
    for _ in range(count):
        writer.write(data)
        await reader.readexactly(SIZE)
    took = time.perf_counter() - start
    writer.close()
    server.close()
    return took / count * 1e6


async def many_echoes(count):
    """The microseconds of one of so many round trips, on 100 connections at once."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Echo, "127.0.0.1", 0, backlog=100)
    address = server.sockets[0].getsockname()
    start = time.perf_counter()
    clients = []
    for _ in range(100):
        done = loop.create_future()
        client = _Client(done, count // 100 * SIZE)
        clients.append((done, await loop.create_connection(lambda client=client: client, *address)))
    for done, (client, _) in clients:
        await done
        client.close()
    took = time.perf_counter() - start
    server.close()
    return took / count * 1e6


async def connections(count):
    """The microseconds of one connection that is opened, echoes once and is closed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    start = time.perf_counter()
    for _ in range(count):
        done = loop.create_future()
        client, _ = await loop.create_connection(lambda done=done: _Client(done, SIZE), *address)
        await done
        client.close()
    took = time.perf_counter() - start
    server.close()
    return took / count * 1e6
