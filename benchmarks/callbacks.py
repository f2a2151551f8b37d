"""What the rows of bench_callbacks run: loops with a clock around them."""

import asyncio
import threading
import time

import erlang


def calls(count):
    """The microseconds of one erlang.call."""
    call = erlang.call
    start = time.perf_counter()
    for i in range(count):
        call("bench_echo", i)
    return (time.perf_counter() - start) / count * 1e6


def run_threads(threads, count):
    """What calls() came to in each of the threads, and the seconds that all of them took."""
    results = []
    running = [threading.Thread(target=lambda: results.append(calls(count))) for _ in range(threads)]
    start = time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return results, time.perf_counter() - start


def calls_of_threads(threads, count):
    """The microseconds of one erlang.call as each of the threads sees it."""
    results, _ = run_threads(threads, count)
    return sum(results) / threads


def rate_of_threads(threads, count):
    """How many erlang.call a second the threads make together."""
    _, seconds = run_threads(threads, count)
    return threads * count / seconds


def sends(pid, count):
    """How many messages a second erlang.send sends."""
    send = erlang.send
    start = time.perf_counter()
    for i in range(count):
        send(pid, i)
    return count / (time.perf_counter() - start)


def async_calls(tasks, count):
    """Microseconds for each call of a task; the tasks share a loop."""

    async def calls():
        for i in range(count):
            await erlang.async_call("bench_echo", i)

    async def main():
        start = time.perf_counter()
        await asyncio.gather(*(calls() for _ in range(tasks)))
        return (time.perf_counter() - start) / count * 1e6

    return erlang.run(main())


def rate_of_async_calls(tasks, count):
    return tasks * 1e6 / async_calls(tasks, count)


def gen_calls(count):
    """Microseconds for a call of a server of OTP's that answers at once."""
    request = erlang.atom("count_children")
    start = time.perf_counter()
    for _ in range(count):
        erlang.gen_call("kernel_safe_sup", request)
    return (time.perf_counter() - start) / count * 1e6
