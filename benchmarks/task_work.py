"""What the rows of bench_tasks run: the work of tasks, and the same with nothing but asyncio."""

import asyncio
import threading
import time


def plain(value):
    return value


async def value(value):
    return value


async def later(seconds):
    await asyncio.sleep(seconds)
    return seconds


def from_thread(count):
    """The microseconds of one coroutine that another thread submits to a loop and waits for."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        start = time.perf_counter()
        for _ in range(count):
            asyncio.run_coroutine_threadsafe(value(1), loop).result()
        return (time.perf_counter() - start) / count * 1e6
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def collected(count):
    """How many coroutines a second: all made tasks, then awaited."""

    async def main():
        tasks = [asyncio.create_task(value(1)) for _ in range(count)]
        for task in tasks:
            await task

    start = time.perf_counter()
    asyncio.run(main())
    return count / (time.perf_counter() - start)


def sleepers(count):
    """The milliseconds in which so many sleeps of 10 ms are over, as tasks."""

    async def main():
        tasks = [asyncio.create_task(later(0.01)) for _ in range(count)]
        for task in tasks:
            await task

    start = time.perf_counter()
    asyncio.run(main())
    return (time.perf_counter() - start) * 1e3
