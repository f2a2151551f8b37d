"""Coroutines that say what happens to them, and functions that are no coroutines."""

import asyncio
import os
import sys
import threading
import time

import erlang


async def echo(value):
    return value


async def echo_later(value, seconds=0.001):
    await asyncio.sleep(seconds)
    return value


async def keywords(**arguments):
    await asyncio.sleep(0)
    return arguments


async def forever(pid):
    """Says that it runs, and how it ends."""
    erlang.send(pid, "running")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        erlang.send(pid, "cancelled")
        raise


async def quiet_forever():
    await asyncio.Event().wait()


async def stubborn(pid):
    """Does not want to end."""
    erlang.send(pid, "running")
    while True:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            pass


async def spin(pid):
    """Keeps the loop from everything else."""
    erlang.send(pid, "running")
    while True:
        pass


async def wait_then_spin(pid):
    await asyncio.sleep(0.001)
    await spin(pid)


async def never_sleeps(pid):
    """Lets go of the loop, which has no time to sleep."""
    erlang.send(pid, "running")
    while True:
        await asyncio.sleep(0)


async def leave_at_once(status):
    sys.exit(status)


async def name_of_task():
    return asyncio.current_task().get_name()


def running_loop():
    """Whose it is, and whether another one can run in a function of a task."""
    coroutine = echo(1)
    try:
        asyncio.run(coroutine)
    except RuntimeError as error:
        return [type(asyncio.get_running_loop()).__name__, str(error)]
    finally:
        coroutine.close()


async def running_loop_of_a_coroutine():
    return running_loop()


def hides_the_loop():
    asyncio._set_running_loop(None)


def spin_function(pid):
    erlang.send(pid, "running")
    while True:
        pass


async def fail(message):
    await asyncio.sleep(0)
    raise ValueError(message)


async def leave(status):
    await asyncio.sleep(0)
    sys.exit(status)


async def without_form():
    await asyncio.sleep(0)
    nested = []
    for _ in range(1_000_000):
        nested = [nested]
    return nested


async def large(size):
    await asyncio.sleep(0)
    return b"x" * size


async def call(name, *args):
    return await erlang.async_call(name, *args)


async def call_many(name, count, size):
    results = await asyncio.gather(*(erlang.async_call(name, bytes([n]) * size) for n in range(count)))
    return [len(result) for result in results]


async def call_blocking(name, *args):
    await asyncio.sleep(0)
    return erlang.call(name, *args)


async def thread():
    await asyncio.sleep(0)
    return threading.get_ident()


def in_asyncio_run(name, value):
    """On asyncio's own loop."""
    return asyncio.run(erlang.async_call(name, value))


def in_erlang_run(name, value):
    return erlang.run(erlang.async_call(name, value))


def in_thread(name, value):
    """On a loop of a thread of its own."""
    results = []
    worker = threading.Thread(target=lambda: results.append(asyncio.run(erlang.async_call(name, value))))
    worker.start()
    worker.join()
    return results[0]


class Waiting:
    """Neither a coroutine nor a future, but it can be awaited."""

    def __await__(self):
        yield from asyncio.sleep(0.001).__await__()
        return "awaited"


def waiting():
    return Waiting()


def future():
    """Needs the loop to be the running one."""
    future = asyncio.get_running_loop().create_future()
    future.get_loop().call_soon(future.set_result, "set")
    return future


def spawn_from_function(pid):
    erlang.spawn_task(_tell(pid), name="teller")
    return "submitted"


async def spawn_from_coroutine(pid):
    task = erlang.spawn_task(_tell(pid), name="teller")
    await task
    return task.get_name()


async def _tell(pid):
    await asyncio.sleep(0.001)
    erlang.send(pid, (asyncio.current_task().get_name(), "told"))


async def tell_later(pid, message, seconds):
    await asyncio.sleep(seconds)
    erlang.send(pid, message)


async def sleep_of_erlang(seconds):
    begin = time.monotonic()
    await erlang.sleep(seconds)
    return time.monotonic() - begin >= seconds


async def cleaning_up(pid):
    try:
        erlang.send(pid, "running")
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.01)
        erlang.send(pid, "cleaned up")


def fds():
    return len(os.listdir("/proc/self/fd"))


_shared = None


def shared_future():
    """The same future for all who ask."""
    global _shared
    if _shared is None or _shared.done():
        _shared = asyncio.ensure_future(echo_later("shared", 0.05))
    return _shared


def a_class_that_can_be_awaited_when_made():
    return Waiting


async def raises(name):
    await asyncio.sleep(0)
    raise {"base": _Base, "stop": StopIteration, "cancelled": asyncio.CancelledError, "generator": GeneratorExit}[name]


class _Base(BaseException):
    pass


async def stops_its_loop():
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.001)
    return "stopped and on"
