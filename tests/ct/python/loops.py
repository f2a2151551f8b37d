"""Coroutines that show what a loop of Erlang's does: timers, tasks, threads, executors. Results go to a test."""

import asyncio
import builtins
import contextvars
import logging
import os
import socket
import sys
import threading
import time
import warnings

import erlang


async def answer(value, delay=0.01):
    await asyncio.sleep(delay)
    return value


def kind() -> str:
    async def main():
        return type(asyncio.get_running_loop()).__name__

    return erlang.run(main())


def run(value, **options):
    return erlang.run(answer(value), **options)


def run_failing():
    async def main():
        await asyncio.sleep(0)
        raise KeyError("lost")

    erlang.run(main())


def run_inside_a_loop() -> str:
    async def main():
        inner = answer(1)
        try:
            erlang.run(inner)
        except RuntimeError as error:
            return str(error)
        finally:
            inner.close()

    return erlang.run(main())


def run_in_debug_mode() -> bool:
    async def main():
        return asyncio.get_running_loop().get_debug()

    return erlang.run(main(), debug=True)


def with_a_runner() -> list:
    with asyncio.Runner(loop_factory=erlang.new_event_loop) as runner:
        return [runner.run(answer(n)) for n in range(3)] + [type(runner.get_loop()).__name__]


def with_a_loop_factory(value):
    return asyncio.run(answer(value), loop_factory=erlang.new_event_loop)


def by_hand(value):
    loop = erlang.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(answer(value)), isinstance(loop, erlang.ErlangEventLoop)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def install() -> tuple:
    """What install() warns of, and whose loop asyncio.run() then uses."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        erlang.install()
    try:
        return [warning.category.__name__ for warning in caught], asyncio.run(_name_of_loop())
    finally:
        asyncio.set_event_loop_policy(None)


async def _name_of_loop() -> str:
    return type(asyncio.get_running_loop()).__name__


def a_policys_loop() -> str:
    loop = erlang.EventLoopPolicy().new_event_loop()
    try:
        return loop.run_until_complete(_name_of_loop())
    finally:
        loop.close()


# ---------------------------------------------------------------------------------------------------------------------
# Threads


def stepped_by_hand(names: list) -> dict:
    """Threads with a loop each that nobody but they move on."""
    seen = {}

    def step(name):
        loop = erlang.ErlangEventLoop()
        calls = []
        loop.call_soon(calls.append, name)
        loop.call_later(0.01, calls.append, name)
        while len(calls) < 2:
            loop._run_once()
        loop.close()
        seen[name] = calls

    _in_threads([(step, name) for name in names])
    return seen


def stepped_here() -> list:
    loop = erlang.new_event_loop()
    calls = []
    loop.call_soon(calls.append, "soon")
    loop.call_later(0.01, calls.append, "later")
    while len(calls) < 2:
        loop._run_once()
    loop.close()
    return calls


def in_threads(count: int) -> list:
    results = []
    _in_threads([(lambda n: results.append(erlang.run(answer(n))), n) for n in range(count)])
    return sorted(results)


def _in_threads(calls: list) -> None:
    threads = [threading.Thread(target=function, args=args) for function, *args in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def moving_from_thread_to_thread() -> list:
    """One loop, used here, elsewhere, and here again, with a file it watches all the while."""
    loop = erlang.new_event_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    seen = []

    async def receive():
        seen.append((await loop.sock_recv(ours, 10)).decode())

    def once(text):
        theirs.send(text.encode())
        loop.run_until_complete(receive())

    once("here")
    _in_threads([(once, "there")])
    _in_threads([(once, "elsewhere")])
    once("home")
    loop.close()
    ours.close()
    theirs.close()
    return seen


def sleep_on(seconds: float) -> None:
    """On a loop that is there already."""
    builtins.ep_loop.run_until_complete(asyncio.sleep(seconds))


def woken_by_a_thread() -> str:
    async def main():
        loop = asyncio.get_running_loop()
        woken = loop.create_future()

        def wake():
            time.sleep(0.02)  # the loop sleeps by now, most likely
            loop.call_soon_threadsafe(woken.set_result, "woken")

        threading.Thread(target=wake).start()
        return await woken

    return erlang.run(main())


def submitted_by_a_thread(value):
    async def main():
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(
            lambda: asyncio.run_coroutine_threadsafe(answer(value), loop).result(timeout=20)
        )

    return erlang.run(main())


def woken_often(times: int) -> int:
    """By several threads at once, none of which may be forgotten."""

    async def main():
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        count = 0

        def one():
            nonlocal count
            count += 1
            if count == 4 * times:
                done.set_result(count)

        def wake():
            for _ in range(times):
                loop.call_soon_threadsafe(one)

        for _ in range(4):
            threading.Thread(target=wake).start()
        return await done

    return erlang.run(main())


def in_executors() -> list:
    async def main():
        loop = asyncio.get_running_loop()
        here = threading.get_ident()
        return [
            await loop.run_in_executor(None, threading.get_ident) != here,
            await asyncio.to_thread(threading.get_ident) != here,
            await asyncio.gather(*(loop.run_in_executor(None, pow, 2, n) for n in range(4))),
        ]

    return erlang.run(main())


# ---------------------------------------------------------------------------------------------------------------------
# Timers and tasks


def timers_in_order() -> list:
    async def main():
        loop = asyncio.get_running_loop()
        seen = []
        loop.call_later(0.03, seen.append, "third")
        loop.call_later(0.01, seen.append, "first")
        loop.call_at(loop.time() + 0.02, seen.append, "second")
        loop.call_later(0.015, seen.append, "never").cancel()
        loop.call_soon(seen.append, "at once")
        await asyncio.sleep(0.04)
        return seen

    return erlang.run(main())


def sleeps_at_least(seconds: float) -> bool:
    async def main():
        loop = asyncio.get_running_loop()
        begin = loop.time()
        await asyncio.sleep(seconds)
        # A loop takes timers that are due within its clock's resolution.
        return loop.time() - begin >= seconds - 2 * time.get_clock_info("monotonic").resolution

    return erlang.run(main())


def many_sleep(count: int) -> int:
    async def main():
        return len(await asyncio.gather(*(answer(n, 0.001 * (n % 10)) for n in range(count))))

    return erlang.run(main())


def cancelled_timers(count: int) -> str:
    """More than asyncio keeps before it tidies up."""

    async def main():
        loop = asyncio.get_running_loop()
        for handle in [loop.call_later(600, print) for _ in range(count)]:
            handle.cancel()
        return await answer("done")

    return erlang.run(main())


def idle_cpu(seconds: float) -> float:
    """Seconds of CPU that this thread needs to sleep for so long."""

    async def main():
        begin = time.thread_time()
        await asyncio.sleep(seconds)
        return time.thread_time() - begin

    return erlang.run(main())


def erlang_sleep() -> str:
    async def main():
        await asyncio.gather(*(erlang.sleep(0.01) for _ in range(10)))
        return "awake"

    return erlang.run(main())


def gathered() -> list:
    async def main():
        return await asyncio.gather(*(answer(2 * n) for n in (1, 2, 3)))

    return erlang.run(main())


def gathered_with_exceptions() -> list:
    async def fail():
        raise ValueError("no")

    async def main():
        results = await asyncio.gather(answer(1), fail(), return_exceptions=True)
        return [type(result).__name__ for result in results]

    return erlang.run(main())


def waited_for() -> list:
    async def main():
        results = [await asyncio.wait_for(answer("in time"), timeout=20)]
        try:
            await asyncio.wait_for(answer("late", 600), timeout=0.01)
        except asyncio.TimeoutError:
            results.append("timeout")
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(600)
        except TimeoutError:
            results.append("timeout")
        return results

    return erlang.run(main())


def waited() -> list:
    async def main():
        tasks = [asyncio.create_task(answer(n)) for n in range(3)]
        done, pending = await asyncio.wait(tasks)
        first = [asyncio.create_task(answer(n, delay)) for n, delay in ((1, 0), (2, 600))]
        early, late = await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        for task in late:
            task.cancel()
        return [len(done), len(pending), [task.result() for task in early], len(late)]

    return erlang.run(main())


def in_the_background() -> str:
    async def main():
        task = asyncio.create_task(answer("background"), name="worker")
        await asyncio.sleep(0)
        return f"{task.get_name()}: {await task}"

    return erlang.run(main())


def in_a_group() -> list:
    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer(n)) for n in range(3)]
        return [task.result() for task in tasks]

    return erlang.run(main())


def ended_with_the_run(pid) -> None:
    """What a run leaves is ended with it: tasks are cancelled, asynchronous generators closed."""

    async def forever():
        try:
            await asyncio.sleep(600)
        finally:
            await asyncio.sleep(0.001)
            erlang.send(pid, "task cancelled")

    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(0.001)
            erlang.send(pid, "generator closed")

    async def main():
        task = asyncio.create_task(forever())
        generator = numbers()
        await anext(generator)
        await asyncio.sleep(0)
        return task, generator

    erlang.run(main())


_who = contextvars.ContextVar("_who", default="nobody")


def context_variables() -> list:
    async def set_to(name):
        _who.set(name)
        await asyncio.sleep(0.001)
        return _who.get()

    async def main():
        loop = asyncio.get_running_loop()
        _who.set("main")
        names = await asyncio.gather(set_to("a"), set_to("b"))
        called = loop.create_future()
        loop.call_soon(lambda: called.set_result(_who.get()))
        return [*names, _who.get(), await called, await asyncio.to_thread(_who.get)]

    return [*erlang.run(main()), _who.get()]


def unhandled() -> str:
    async def main():
        loop = asyncio.get_running_loop()
        told = loop.create_future()
        loop.set_exception_handler(lambda _loop, context: told.set_result(repr(context["exception"])))
        loop.call_soon(lambda: 1 // 0)
        return await told

    return erlang.run(main())


def debug_mode() -> list:
    """A slow callback is logged, and a call from the wrong thread refused."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logger = logging.getLogger("asyncio")

    async def main():
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.01
        loop.call_soon(time.sleep, 0.05)
        await asyncio.sleep(0)
        try:
            await asyncio.to_thread(loop.call_soon, print)
        except RuntimeError as error:
            return str(error)

    logger.addHandler(handler)
    try:
        refused = erlang.run(main(), debug=True)
    finally:
        logger.removeHandler(handler)
    return [any("took" in record for record in records), "Non-thread-safe" in refused]


# ---------------------------------------------------------------------------------------------------------------------
# Files


def churn(rounds: int) -> int:
    """Numbers of files are used again at once, and what comes belongs to the file that has the number now."""

    async def one(loop, n):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            ready = loop.create_future()
            loop.add_reader(ours, lambda: ready.done() or ready.set_result(ours.recv(10)))
            loop.add_writer(ours, lambda: None)
            loop.remove_writer(ours)
            theirs.send(str(n).encode())
            got = await ready
            theirs.send(b"nobody reads this")
            loop.remove_reader(ours)
            return int(got) == n

    async def main():
        loop = asyncio.get_running_loop()
        return sum([await one(loop, n) for n in range(rounds)])

    return erlang.run(main())


def pipes() -> bytes:
    async def main():
        loop = asyncio.get_running_loop()
        read, write = os.pipe()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb")
        )
        writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(write, "wb"))
        writer.write(b"through a pipe")
        writer.close()
        text = await reader.read()
        transport.close()
        return text

    return erlang.run(main())


def addresses() -> list:
    async def main():
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
        name = await loop.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        return [found[0][4], name]

    return erlang.run(main())


def refused() -> list:
    async def main():
        loop = asyncio.get_running_loop()
        texts = []
        for attempt in (
            lambda: loop.add_signal_handler(15, print),
            lambda: loop.remove_signal_handler(15),
            lambda: asyncio.create_subprocess_exec("true"),
            lambda: asyncio.create_subprocess_shell("true"),
        ):
            try:
                result = attempt()
                if asyncio.iscoroutine(result):
                    await result
            except NotImplementedError as error:
                texts.append(str(error))
        return texts

    return erlang.run(main())


def version() -> list:
    return list(sys.version_info[:2])
