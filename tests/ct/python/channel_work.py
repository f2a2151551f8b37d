"""What channels_SUITE has Python do."""

import asyncio
import gc
import threading

import erlang
from erlang.channel import ByteChannel, ByteChannelClosed, Channel, ChannelClosed, reply


def collect(ref):
    return list(Channel(ref))


async def collect_async(ref):
    return [message async for message in Channel(ref)]


def collect_in_loop(ref):
    return erlang.run(collect_async(ref))


def collect_in_stock_loop(ref):
    return asyncio.run(collect_async(ref))


def collect_in_thread(ref):
    result = []
    thread = threading.Thread(target=lambda: result.extend(Channel(ref)))
    thread.start()
    thread.join()
    return result


def collect_in_many_threads(ref, count):
    results = [[] for _ in range(count)]
    threads = [threading.Thread(target=lambda result=result: result.extend(Channel(ref))) for result in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def collect_in_many_tasks(ref, count):
    async def main():
        return await asyncio.gather(*(collect_async(ref) for _ in range(count)))

    return erlang.run(main())


def produce(ref, name, count):
    channel = Channel(ref)
    for number in range(count):
        channel.send([name, number])


def produce_in_threads(ref, names, count):
    threads = [threading.Thread(target=produce, args=(ref, name, count)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def produce_in_tasks(ref, names, count):
    async def one(name):
        channel = Channel(ref)
        for number in range(count):
            await channel.async_send([name, number])

    async def main():
        await asyncio.gather(*map(one, names))

    erlang.run(main())


def impatient(ref, count):
    """Receivers that give up all the time; nothing is lost by that."""

    async def one(result):
        channel = Channel(ref)
        while True:
            try:
                result.append(await channel.async_receive(timeout=0.0005))
            except TimeoutError:
                pass
            except ChannelClosed:
                return

    async def main():
        results = [[] for _ in range(count)]
        await asyncio.gather(*map(one, results))
        return results

    return erlang.run(main())


def impatient_threads(ref, count):
    def one(result):
        channel = Channel(ref)
        while True:
            try:
                result.append(channel.receive(timeout=0.0005))
            except TimeoutError:
                pass
            except ChannelClosed:
                return

    results = [[] for _ in range(count)]
    threads = [threading.Thread(target=one, args=(result,)) for result in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def echo(ref):
    for tag, pid, data in Channel(ref):
        reply(pid, ("response", data))
    return "closed"


def receive(ref, timeout=None):
    return Channel(ref).receive(timeout)


def receive_for(ref, timeout):
    return Channel(ref).receive(float(timeout))


def receive_async_for(ref, timeout):
    return erlang.run(Channel(ref).async_receive(float(timeout)))


def receive_saying_so(ref, pid):
    erlang.send(pid, "receives")
    return Channel(ref).receive()


def receive_async_saying_so(ref, pid):
    async def main():
        erlang.send(pid, "receives")
        return await Channel(ref).async_receive()

    return erlang.run(main())


def send(ref, message, timeout=None):
    Channel(ref).send(message, timeout)


def send_saying_so(ref, message, pid):
    erlang.send(pid, "sends")
    Channel(ref).send(message)
    return "sent"


def send_async_saying_so(ref, message, pid):
    async def main():
        erlang.send(pid, "sends")
        await Channel(ref).async_send(message)
        return "sent"

    return erlang.run(main())


def error_of(function, *args):
    try:
        return [None, globals()[function](*args)]
    except Exception as error:
        return [type(error).__name__, str(error)]


def tries(ref):
    channel = Channel(ref)
    return [channel.try_send(1), channel.try_send("x" * 1000), channel.try_receive(), channel.try_receive()]


def info(ref):
    channel = Channel(ref)
    return [channel.info(), channel.closed]


def with_statement(ref):
    with Channel(ref) as channel:
        first = next(channel)
    return [first, channel.closed]


def after_close(ref):
    channel = Channel(ref)
    result = [channel.try_receive(), channel.receive()]
    for failing in (channel.receive, channel.try_receive, lambda: channel.send(1), lambda: channel.try_send(1)):
        try:
            failing()
        except ChannelClosed as error:
            result.append(str(error))
    channel.close()

    async def main():
        try:
            await channel.async_receive()
        except ChannelClosed:
            return "closed"

    result.append(erlang.run(main()))
    return result


def same(ref, refs):
    channel = Channel(ref)
    return [channel, [channel, {"channel": channel}], channel == Channel(ref), hash(channel) == hash(Channel(ref))]


def construct(kind, what):
    try:
        {"term": Channel, "bytes": ByteChannel}[kind](what)
    except TypeError as error:
        return str(error)
    return "no error"


def construct_from(kind, source):
    return construct(kind, eval(source))


def send_wrong_bytes(ref):
    return error_of("_send_str", ref)


def _send_str(ref):
    ByteChannel(ref).send_bytes("text")


def bytes_from(ref):
    return list(ByteChannel(ref)) == [bytes([n]) * n * 1000 for n in range(1, 11)]


def bytes_to(ref):
    channel = ByteChannel(ref)
    for data in (b"bytes", bytearray(b"bytearray"), memoryview(b"a memoryview")[2:], b"", b"\xff" * 300000):
        channel.send_bytes(data)
    channel.close()


def byte_ends(ref):
    channel = ByteChannel(ref)
    result = [channel.try_receive_bytes(), channel.try_send_bytes(b"12345"), channel.try_send_bytes(b"6")]
    result.append(channel.receive_bytes())
    channel.close()
    for failing in (channel.receive_bytes, channel.try_receive_bytes, lambda: channel.send_bytes(b"x")):
        try:
            failing()
        except ByteChannelClosed as error:
            result.append(isinstance(error, ChannelClosed))
    return result


def bytes_async(ref, back):
    async def main():
        out = ByteChannel(back)
        async for data in ByteChannel(ref):
            await out.async_send_bytes(data[::-1])
        out.close()

    erlang.run(main())


def keep(ref):
    global kept
    kept = Channel(ref)


def forget():
    global kept
    kept = None
    gc.collect()


def cancelled_receive(ref, pid):
    async def main():
        channel = Channel(ref)
        task = asyncio.ensure_future(channel.async_receive())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        erlang.send(pid, "cancelled")
        return await channel.async_receive()

    return erlang.run(main())


def other_work_goes_on(ref, pid):
    async def main():
        turns = 0
        task = asyncio.ensure_future(Channel(ref).async_receive())
        while not task.done():
            turns += 1
            if turns == 10:
                erlang.send(pid, "ten turns")
            await asyncio.sleep(0.001)
        return [turns >= 10, task.result()]

    return erlang.run(main())


def collect_garbage():
    gc.collect()


def make_handles(ref, threads, each):
    made = []

    def make():
        made.append(sum(1 for _ in range(each) if Channel(ref) == first))

    first = Channel(ref)
    running = [threading.Thread(target=make) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(made)
