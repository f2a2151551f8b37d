"""Which clock is which."""

import asyncio
import time

import erlang


def wall_clock():
    return time.time()


async def loop_is_monotonic():
    loop = asyncio.get_running_loop()
    before = time.monotonic()
    now = loop.time()
    return before <= now <= time.monotonic()


def loop_that_runs_is_monotonic():
    return erlang.run(loop_is_monotonic())


async def sleep(pid, seconds):
    """By three sorts of waiting on the loop's thread."""
    erlang.send(pid, "sleeping")
    loop = asyncio.get_running_loop()
    called = loop.create_future()
    loop.call_later(seconds, called.set_result, None)
    never = loop.create_future()
    await asyncio.gather(asyncio.sleep(seconds), called, _give_up(never, seconds), erlang.sleep(seconds))


async def _give_up(future, seconds):
    try:
        await asyncio.wait_for(future, seconds)
    except TimeoutError:
        pass


def sleep_in_run(pid, seconds):
    erlang.run(sleep(pid, seconds))


def sleep_of_erlang(pid, seconds):
    """No loop has anything to do with it."""
    erlang.send(pid, "sleeping")
    erlang.sleep(seconds)
